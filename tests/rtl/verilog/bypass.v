// The operand that a MAC stage hands on: what is being written to its row, else what it has (T13).
module bypass #(
    parameter ENTRIES = 1,
    parameter ROW_BITS = 4,
    parameter BITS = 32,
    parameter ENABLED = 1
) (
    input  wire [ROW_BITS-1:0]         row,
    input  wire [BITS-1:0]             held,
    input  wire [ENTRIES-1:0]          write,
    input  wire [ENTRIES*ROW_BITS-1:0] write_rows,
    input  wire [ENTRIES*BITS-1:0]     write_values,
    output reg  [BITS-1:0]             newest
);
    integer j;
    always @* begin
        newest = held;
        for (j = 0; j < ENTRIES; j = j + 1)
            if (ENABLED != 0 && write[j] && write_rows[j*ROW_BITS +: ROW_BITS] == row)
                newest = write_values[j*BITS +: BITS];
    end
endmodule
