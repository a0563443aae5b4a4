// Sparse decoder of a PE: T5 (which places a beat takes, which word it reads), T6 (extra beats of
// `decompress`), T2 (rows and weights of the places).
module decoder #(
    parameter A = 16,
    parameter FORMAT = 0,
    parameter GROUP = 1,
    parameter DECOMPRESS = 0,
    parameter ENTRIES = 1,
    parameter WORD_BITS = 32,
    parameter WEIGHT_BITS = 8,
    parameter INDEX_BITS = 4,
    parameter ROW_BITS = 4,
    parameter FLAGS = 16
) (
    input  wire                           clock,
    input  wire                           start,
    input  wire                           active,   // a column is in work
    input  wire                           fresh,    // it was popped in this cycle
    input  wire                           advance,  // its beat is done in this cycle
    input  wire [A-1:0]                   height,
    input  wire [A-1:0]                   decompress_beats,
    input  wire [A-1:0]                   first_place,
    input  wire [A-1:0]                   end_place,
    input  wire [FLAGS-1:0]               column_flags,
    input  wire [WORD_BITS-1:0]           fetched,
    output wire                           reads,    // the beat reads the word
    output wire [A-1:0]                   word,     // counted from the first word of entries
    output wire                           has_entries,
    output wire                           last,     // the beat is the column's last
    output reg  [A-1:0]                   beat,
    output wire [ENTRIES-1:0]             is_row,
    output wire [ENTRIES*ROW_BITS-1:0]    rows,
    output wire [ENTRIES*WEIGHT_BITS-1:0] weights
);
    localparam DENSE = 0, BITMAP = 1, RUN_LENGTH = 2;
    localparam ENTRY_BITS = (FORMAT == RUN_LENGTH) ? INDEX_BITS + WEIGHT_BITS : WEIGHT_BITS;
    localparam WEIGHT_AT = ENTRY_BITS - WEIGHT_BITS;
    localparam A_WORD = WORD_BITS / ENTRY_BITS;  // entry places of a word

    // Where the column stands: from the index memory when it was popped, then from registers.
    reg [A-1:0] held_places, held_word, held_offset, held_step;
    reg [FLAGS-1:0] held_flags;
    reg [WORD_BITS-1:0] held_entries;
    reg held_has_entries;

    wire [A-1:0] places_left = fresh ? end_place - first_place : held_places;
    wire [A-1:0] offset = fresh ? first_place % A'(A_WORD) : held_offset;
    wire [A-1:0] step = fresh ? {A{1'b0}} : held_step;
    wire [FLAGS-1:0] flags = fresh ? column_flags : held_flags;
    wire [A-1:0] next_step;
    wire [FLAGS-1:0] next_flags;

    assign word = fresh ? first_place / A'(A_WORD) : held_word;
    assign has_entries = fresh ? places_left != {A{1'b0}} : held_has_entries;

    // The beat: up to ENTRIES places, of this column, of one word.
    wire [A-1:0] in_word = A'(A_WORD) - offset;
    wire [A-1:0] in_column = (places_left < in_word) ? places_left : in_word;
    wire [A-1:0] places = (in_column < A'(ENTRIES)) ? in_column : A'(ENTRIES);
    wire word_done = offset + places == A'(A_WORD);

    assign reads = active && places != {A{1'b0}} && (beat == {A{1'b0}} || offset == {A{1'b0}});
    assign last = places == places_left
        && (DECOMPRESS == 0 || beat + A'(1) >= decompress_beats);

    wire [WORD_BITS-1:0] entries = reads ? fetched : held_entries;
    wire [WORD_BITS-1:0] taken = entries >> (offset * A'(ENTRY_BITS));

    genvar k;
    generate
        for (k = 0; k < ENTRIES; k = k + 1) begin : entry
            if (k < A_WORD) begin : stored
                assign weights[k*WEIGHT_BITS +: WEIGHT_BITS] =
                    taken[k*ENTRY_BITS + WEIGHT_AT +: WEIGHT_BITS];
            end else begin : beyond_word
                assign weights[k*WEIGHT_BITS +: WEIGHT_BITS] = {WEIGHT_BITS{1'b0}};
            end
        end

        if (FORMAT == DENSE) begin : dense
            assign next_flags = flags;
            rows_dense #(.A(A), .ENTRIES(ENTRIES), .ROW_BITS(ROW_BITS)) select (
                .places(places), .step(step), .is_row(is_row), .rows(rows), .next_step(next_step)
            );
        end else if (FORMAT == BITMAP) begin : bitmap
            assign next_step = step;
            rows_bitmap #(
                .A(A), .ENTRIES(ENTRIES), .ROW_BITS(ROW_BITS), .FLAGS(FLAGS)
            ) select (
                .places(places), .flags(flags), .is_row(is_row), .rows(rows),
                .next_flags(next_flags)
            );
        end else if (FORMAT == RUN_LENGTH) begin : run_length
            wire [ENTRIES*INDEX_BITS-1:0] skipped;
            for (k = 0; k < ENTRIES; k = k + 1) begin : entry
                if (k < A_WORD) begin : stored
                    assign skipped[k*INDEX_BITS +: INDEX_BITS] =
                        taken[k*ENTRY_BITS +: INDEX_BITS];
                end else begin : beyond_word
                    assign skipped[k*INDEX_BITS +: INDEX_BITS] = {INDEX_BITS{1'b0}};
                end
            end
            assign next_flags = flags;
            rows_run_length #(
                .A(A), .ENTRIES(ENTRIES), .ROW_BITS(ROW_BITS), .INDEX_BITS(INDEX_BITS)
            ) select (
                .places(places), .step(step), .skipped(skipped), .is_row(is_row), .rows(rows),
                .next_step(next_step)
            );
        end else begin : pencil
            rows_pencil #(
                .A(A), .ENTRIES(ENTRIES), .ROW_BITS(ROW_BITS), .FLAGS(FLAGS), .GROUP(GROUP)
            ) select (
                .places(places), .step(step), .flags(flags), .height(height), .is_row(is_row),
                .rows(rows), .next_step(next_step), .next_flags(next_flags)
            );
        end
    endgenerate

    always @(posedge clock) begin
        if (start || (advance && last)) beat <= {A{1'b0}};
        else if (advance) beat <= beat + A'(1);

        if (active) begin
            held_has_entries <= has_entries;
            held_places <= advance ? places_left - places : places_left;
            held_word <= (advance && word_done) ? word + A'(1) : word;
            held_offset <= !advance ? offset : word_done ? {A{1'b0}} : offset + places;
            held_step <= advance ? next_step : step;
            held_flags <= advance ? next_flags : flags;
            if (advance && reads) held_entries <= fetched;
        end
    end

    wire unused = &{1'b0, height, taken, decompress_beats};
endmodule
