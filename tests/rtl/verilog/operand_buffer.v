// The scanner's buffer, T7: filled in the load phase, read a window of words at a time.
module operand_buffer #(
    parameter A = 16,
    parameter ADDRESS_BITS = 6,
    parameter WORD_BITS = 32,
    parameter READ_WORDS = 1
) (
    input  wire                            clock,
    input  wire                            write,
    input  wire [A-1:0]                    write_address,
    input  wire [WORD_BITS-1:0]            write_word,
    input  wire [A-1:0]                    first_word,
    output wire [READ_WORDS*WORD_BITS-1:0] words
);
    localparam N = ADDRESS_BITS;

    reg [WORD_BITS-1:0] held [0:(1<<N)-1];

    always @(posedge clock) if (write) held[write_address[N-1:0]] <= write_word;

    genvar w;
    generate
        for (w = 0; w < READ_WORDS; w = w + 1) begin : read_port
            wire [A-1:0] address = first_word + A'(w);
            assign words[w*WORD_BITS +: WORD_BITS] = held[address[N-1:0]];
            wire unused = &{1'b0, address};
        end
    endgenerate

    wire unused = &{1'b0, write_address};
endmodule
