// One of several words, by number.
module selector #(
    parameter A = 16,
    parameter INPUTS = 1,
    parameter BITS = 32
) (
    input  wire [A-1:0]           choice,
    input  wire [INPUTS*BITS-1:0] inputs,
    output reg  [BITS-1:0]        chosen
);
    integer i;
    always @* begin
        chosen = inputs[BITS-1:0];
        for (i = 1; i < INPUTS; i = i + 1)
            if (choice == A'(i)) chosen = inputs[i*BITS +: BITS];
    end
endmodule
