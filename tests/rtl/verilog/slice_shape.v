// What a PE's slice of a matrix measures: T1 (its rows), T3 and T4 (the words before its entries),
// T6 (beats of `decompress`), T7 (words of its load phase).
module slice_shape #(
    parameter A = 16,
    parameter PE = 0,
    parameter PES = 1,
    parameter FORMAT = 0,
    parameter GROUP = 1,
    parameter ENTRIES = 1,
    parameter WORD_BITS = 32,
    parameter INDEX_WORD_BITS = 32,
    parameter POINTER_BITS = 0,
    parameter BIAS_BITS = 0,
    parameter PRELOAD = 0
) (
    input  wire [A-1:0] rows,
    input  wire [A-1:0] columns,
    input  wire         accumulate,        // the bias stays where it is
    output wire [A-1:0] height,            // rows of the slice
    output wire [A-1:0] column_flags,      // index bits of a column
    output wire [A-1:0] pointer_words,
    output wire [A-1:0] preloaded_words,   // pointers and indices in front of the slice
    output wire [A-1:0] words_to_load,
    output wire [A-1:0] first_entry_word,
    output wire [A-1:0] decompress_beats
);
    localparam DENSE = 0, BITMAP = 1, PENCIL = 3;
    localparam POINTERS_A_WORD = POINTER_BITS > 0 ? INDEX_WORD_BITS / POINTER_BITS : 1;
    localparam BIASES_A_WORD = BIAS_BITS > 0 ? WORD_BITS / BIAS_BITS : 1;

    wire [A-1:0] groups = (rows + A'(GROUP - 1)) / A'(GROUP);
    wire [A-1:0] own_groups = (groups + A'(PES - 1 - PE)) / A'(PES);
    wire has_last_group = (groups - A'(1)) % A'(PES) == A'(PE);
    wire [A-1:0] rows_missing = groups * A'(GROUP) - rows;
    wire [A-1:0] index_bits = column_flags * columns;
    wire [A-1:0] index_words = pointer_words
        + (index_bits + A'(INDEX_WORD_BITS - 1)) / A'(INDEX_WORD_BITS);
    wire [A-1:0] bias_words = (BIAS_BITS > 0)
        ? (height + A'(BIASES_A_WORD - 1)) / A'(BIASES_A_WORD) : {A{1'b0}};

    assign height = own_groups * A'(GROUP) - (has_last_group ? rows_missing : {A{1'b0}});
    assign column_flags = (FORMAT == BITMAP) ? height : (FORMAT == PENCIL) ? own_groups : {A{1'b0}};
    assign pointer_words = (FORMAT != DENSE && POINTER_BITS > 0)
        ? (columns + A'(POINTERS_A_WORD)) / A'(POINTERS_A_WORD) : {A{1'b0}};
    assign preloaded_words = (PRELOAD != 0) ? index_words : {A{1'b0}};
    assign words_to_load = preloaded_words + (accumulate ? {A{1'b0}} : bias_words);
    assign first_entry_word = preloaded_words + bias_words;
    assign decompress_beats = (height + A'(ENTRIES - 1)) / A'(ENTRIES);
endmodule
