// Rows of a beat's entries, `dense` (T2): every row of the slice in turn.
module rows_dense #(
    parameter A = 16,
    parameter ENTRIES = 1,
    parameter ROW_BITS = 4
) (
    input  wire [A-1:0]                places,  // of the beat
    input  wire [A-1:0]                step,    // next row
    output reg  [ENTRIES-1:0]          is_row,
    output reg  [ENTRIES*ROW_BITS-1:0] rows,
    output wire [A-1:0]                next_step
);
    integer k;
    always @* begin
        for (k = 0; k < ENTRIES; k = k + 1) begin
            is_row[k] = A'(k) < places;
            rows[k*ROW_BITS +: ROW_BITS] = ROW_BITS'(step + A'(k));
        end
    end

    assign next_step = step + places;
endmodule
