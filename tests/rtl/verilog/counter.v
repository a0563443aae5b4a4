// A performance counter, cleared at issue.
module counter #(
    parameter A = 16
) (
    input  wire         clock,
    input  wire         start,
    input  wire [A-1:0] step,
    output reg  [31:0]  total
);
    always @(posedge clock) total <= start ? 32'd0 : total + 32'(step);
endmodule
