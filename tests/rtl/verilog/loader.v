// Operand stream of the load phase, T7 and T19: copies the operand's words to the scanner's
// buffer, one a cycle in address order; it stops for a cycle in which its bank is taken.
module loader #(
    parameter A = 16,
    parameter ENABLED = 1
) (
    input  wire         clock,
    input  wire         start,
    input  wire         loading,
    input  wire [A-1:0] operand_words,
    input  wire         granted,
    output wire         request,
    output reg  [A-1:0] word,
    output wire         write,
    output wire         done
);
    assign done = (ENABLED == 0) || word == operand_words;
    assign request = loading && !done;
    assign write = request && granted;

    always @(posedge clock) begin
        if (start) word <= {A{1'b0}};
        else if (write) word <= word + A'(1);
    end
endmodule
