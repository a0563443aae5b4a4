// Rows of a beat's entries, `bitmap` (T2): the set bits that are left, lowest first.
module rows_bitmap #(
    parameter A = 16,
    parameter ENTRIES = 1,
    parameter ROW_BITS = 4,
    parameter FLAGS = 16
) (
    input  wire [A-1:0]                places,
    input  wire [FLAGS-1:0]            flags,
    output reg  [ENTRIES-1:0]          is_row,
    output reg  [ENTRIES*ROW_BITS-1:0] rows,
    output reg  [FLAGS-1:0]            next_flags
);
    integer k, r;
    always @* begin
        next_flags = flags;
        for (k = 0; k < ENTRIES; k = k + 1) begin
            is_row[k] = A'(k) < places;
            rows[k*ROW_BITS +: ROW_BITS] = {ROW_BITS{1'b0}};
            for (r = FLAGS - 1; r >= 0; r = r - 1)
                if (next_flags[r]) rows[k*ROW_BITS +: ROW_BITS] = ROW_BITS'(r);
            if (is_row[k]) next_flags = next_flags & (next_flags - FLAGS'(1));
        end
    end
endmodule
