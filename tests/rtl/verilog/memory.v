// A single-port memory: a word read or written a cycle (T3, T19). A read flows through: the word
// is there in the cycle of its address.
module memory #(
    parameter A = 16,
    parameter ADDRESS_BITS = 10,
    parameter WORD_BITS = 32
) (
    input  wire                 clock,
    input  wire [A-1:0]         address,
    input  wire                 write,
    input  wire [WORD_BITS-1:0] write_word,
    output wire [WORD_BITS-1:0] word
);
    reg [WORD_BITS-1:0] words [0:(1<<ADDRESS_BITS)-1];

    assign word = words[address[ADDRESS_BITS-1:0]];

    always @(posedge clock) if (write) words[address[ADDRESS_BITS-1:0]] <= write_word;

    wire unused = &{1'b0, address};
endmodule
