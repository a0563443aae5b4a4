// Index memory of a PE: T4. Pointers, then index bits, read beside the entries when a column is
// popped. Without stored pointers the places of the columns are summed up while the words are
// loaded: one running total of set bits a word, so that a column starts after the total of its
// first word and the bits below its own.
module index_memory #(
    parameter A = 16,
    parameter ADDRESS_BITS = 8,
    parameter WORD_BITS = 32,
    parameter POINTER_BITS = 0,
    parameter HAS_FLAGS = 1,
    parameter FLAGS = 16,  // most index bits of a column
    parameter GROUP = 1
) (
    input  wire                 clock,
    input  wire                 start,
    input  wire                 write,
    input  wire [A-1:0]         write_address,
    input  wire [WORD_BITS-1:0] write_word,
    input  wire [A-1:0]         pointer_words,
    input  wire [A-1:0]         column_flags,
    input  wire [A-1:0]         column,
    output wire [A-1:0]         first_place,
    output wire [A-1:0]         end_place,
    output wire [FLAGS-1:0]     flags
);
    localparam N = ADDRESS_BITS;
    localparam READ_WORDS = (FLAGS + WORD_BITS - 2) / WORD_BITS + 1;

    reg [WORD_BITS-1:0] words [0:(1<<N)-1];

    always @(posedge clock) if (write) words[write_address[N-1:0]] <= write_word;

    wire [A-1:0] first_flag = column * column_flags;
    wire [A-1:0] flag_word = pointer_words + first_flag / A'(WORD_BITS);
    wire [A-1:0] flag_bit = first_flag % A'(WORD_BITS);

    genvar w;
    generate
        if (HAS_FLAGS != 0) begin : with_flags
            wire [READ_WORDS*WORD_BITS-1:0] read;
            for (w = 0; w < READ_WORDS; w = w + 1) begin : read_port
                wire [A-1:0] address = flag_word + A'(w);
                assign read[w*WORD_BITS +: WORD_BITS] = words[address[N-1:0]];
                wire unused = &{1'b0, address};
            end
            wire [READ_WORDS*WORD_BITS-1:0] aligned = read >> flag_bit;
            assign flags = aligned[FLAGS-1:0] & ~({FLAGS{1'b1}} << column_flags);
            wire unused = &{1'b0, aligned};
        end else begin : without_flags
            assign flags = {FLAGS{1'b0}};
            wire unused = &{1'b0, flag_word, flag_bit};
        end

        if (POINTER_BITS > 0) begin : stored_pointers
            localparam A_WORD = WORD_BITS / POINTER_BITS;
            wire [A-1:0] next = column + A'(1);
            wire [A-1:0] this_word = column / A'(A_WORD);
            wire [A-1:0] next_word = next / A'(A_WORD);
            wire [WORD_BITS-1:0] this_fields = words[this_word[N-1:0]]
                >> ((column % A'(A_WORD)) * A'(POINTER_BITS));
            wire [WORD_BITS-1:0] next_fields = words[next_word[N-1:0]]
                >> ((next % A'(A_WORD)) * A'(POINTER_BITS));
            localparam USED = POINTER_BITS < A ? POINTER_BITS : A;
            assign first_place = A'(this_fields[USED-1:0]);
            assign end_place = A'(next_fields[USED-1:0]);
            wire unused = &{1'b0, start, this_word, next_word, this_fields, next_fields};
        end else begin : summed_pointers
            reg [A-1:0] ones_before [0:(1<<N)-1];
            reg [A-1:0] ones;
            wire [WORD_BITS-1:0] below = words[flag_word[N-1:0]]
                & ~({WORD_BITS{1'b1}} << flag_bit);

            integer i;
            reg [A-1:0] written_ones, below_ones, own_ones;
            always @* begin
                written_ones = {A{1'b0}};
                below_ones = {A{1'b0}};
                for (i = 0; i < WORD_BITS; i = i + 1) begin
                    written_ones = written_ones + A'(write_word[i]);
                    below_ones = below_ones + A'(below[i]);
                end
                own_ones = {A{1'b0}};
                for (i = 0; i < FLAGS; i = i + 1) own_ones = own_ones + A'(flags[i]);
            end

            always @(posedge clock) begin
                if (write) ones_before[write_address[N-1:0]] <= ones;
                if (start) ones <= {A{1'b0}};
                else if (write) ones <= ones + written_ones;
            end

            assign first_place = A'(GROUP) * (ones_before[flag_word[N-1:0]] + below_ones);
            assign end_place = first_place + A'(GROUP) * own_ones;
        end
    endgenerate

    wire unused = &{1'b0, write_address};
endmodule
