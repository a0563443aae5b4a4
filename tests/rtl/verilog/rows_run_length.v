// Rows of a beat's entries, `run_length` (T2): each as many rows further as its index says.
module rows_run_length #(
    parameter A = 16,
    parameter ENTRIES = 1,
    parameter ROW_BITS = 4,
    parameter INDEX_BITS = 4
) (
    input  wire [A-1:0]                  places,
    input  wire [A-1:0]                  step,  // the row after the last entry's
    input  wire [ENTRIES*INDEX_BITS-1:0] skipped,
    output reg  [ENTRIES-1:0]            is_row,
    output reg  [ENTRIES*ROW_BITS-1:0]   rows,
    output reg  [A-1:0]                  next_step
);
    integer k;
    always @* begin
        next_step = step;
        for (k = 0; k < ENTRIES; k = k + 1) begin
            is_row[k] = A'(k) < places;
            rows[k*ROW_BITS +: ROW_BITS] =
                ROW_BITS'(next_step + A'(skipped[k*INDEX_BITS +: INDEX_BITS]));
            if (is_row[k])
                next_step = next_step + A'(skipped[k*INDEX_BITS +: INDEX_BITS]) + A'(1);
        end
    end
endmodule
