// Rows of a beat's entries, `pencil` (T2): the places of the kept pencils that are left; those of
// a pencil cut short by the slice's last row belong to no row.
module rows_pencil #(
    parameter A = 16,
    parameter ENTRIES = 1,
    parameter ROW_BITS = 4,
    parameter FLAGS = 16,
    parameter GROUP = 4
) (
    input  wire [A-1:0]                places,
    input  wire [A-1:0]                step,    // places of the first pencil left that are done
    input  wire [FLAGS-1:0]            flags,
    input  wire [A-1:0]                height,
    output reg  [ENTRIES-1:0]          is_row,
    output reg  [ENTRIES*ROW_BITS-1:0] rows,
    output reg  [A-1:0]                next_step,
    output reg  [FLAGS-1:0]            next_flags
);
    integer k, r;
    reg [A-1:0] row;
    always @* begin
        next_step = step;
        next_flags = flags;
        for (k = 0; k < ENTRIES; k = k + 1) begin
            row = {A{1'b0}};
            for (r = FLAGS - 1; r >= 0; r = r - 1) if (next_flags[r]) row = A'(r * GROUP);
            row = row + next_step;
            is_row[k] = A'(k) < places && row < height;
            rows[k*ROW_BITS +: ROW_BITS] = ROW_BITS'(row);
            if (A'(k) < places) begin
                next_step = next_step + A'(1);
                if (next_step == A'(GROUP)) begin
                    next_step = {A{1'b0}};
                    next_flags = next_flags & (next_flags - FLAGS'(1));
                end
            end
        end
    end
endmodule
