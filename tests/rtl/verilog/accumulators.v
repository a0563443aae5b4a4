// Accumulators of a PE: a row's starts at zero, at its bias (written in the load phase, T7), or
// goes on from what it holds (accumulating forms). A row reads as zero until it is written.
module accumulators #(
    parameter A = 16,
    parameter ENTRIES = 1,
    parameter ROW_BITS = 4,
    parameter ACCUMULATOR_BITS = 32,
    parameter WORD_BITS = 32,
    parameter BIAS_BITS = 0
) (
    input  wire                                clock,
    input  wire                                start,
    input  wire                                keep,  // with start: go on from what is held
    input  wire                                bias_write,
    input  wire [A-1:0]                        bias_row,
    input  wire [WORD_BITS-1:0]                bias_word,
    input  wire                                host_write,
    input  wire [ROW_BITS-1:0]                 host_row,
    input  wire [ACCUMULATOR_BITS-1:0]         host_value,
    output wire [ACCUMULATOR_BITS-1:0]         host_read,
    input  wire [ENTRIES*ROW_BITS-1:0]         read_rows,
    output wire [ENTRIES*ACCUMULATOR_BITS-1:0] read_values,
    input  wire [ENTRIES-1:0]                  write,
    input  wire [ENTRIES*ROW_BITS-1:0]         write_rows,
    input  wire [ENTRIES*ACCUMULATOR_BITS-1:0] write_values
);
    localparam C = ACCUMULATOR_BITS;
    localparam ROWS = 1 << ROW_BITS;

    reg [C-1:0] values [0:ROWS-1];
    reg [ROWS-1:0] written;

    assign host_read = written[host_row] ? values[host_row] : {C{1'b0}};

    genvar k;
    generate
        for (k = 0; k < ENTRIES; k = k + 1) begin : read_port
            wire [ROW_BITS-1:0] row = read_rows[k*ROW_BITS +: ROW_BITS];
            assign read_values[k*C +: C] = written[row] ? values[row] : {C{1'b0}};
        end
    endgenerate

    localparam BIASES = BIAS_BITS > 0 ? WORD_BITS / BIAS_BITS : 1;
    wire [BIASES*C-1:0] bias_values;
    wire [BIASES-1:0] bias_is_row;
    generate
        for (k = 0; k < BIASES; k = k + 1) begin : bias
            wire [A-1:0] row = bias_row + A'(k);
            assign bias_is_row[k] = bias_write && row < A'(ROWS);
            wire unused = &{1'b0, row};
            if (BIAS_BITS == 0) begin : none
                assign bias_values[k*C +: C] = {C{1'b0}};
            end else if (BIAS_BITS < C) begin : extended
                assign bias_values[k*C +: C] = {
                    {(C - BIAS_BITS){bias_word[k*BIAS_BITS + BIAS_BITS - 1]}},
                    bias_word[k*BIAS_BITS +: BIAS_BITS]
                };
            end else begin : cut
                assign bias_values[k*C +: C] = bias_word[k*BIAS_BITS +: C];
            end
        end
    endgenerate

    integer i;
    always @(posedge clock) begin
        if (host_write) begin
            values[host_row] <= host_value;
            written[host_row] <= 1'b1;
        end
        for (i = 0; i < BIASES; i = i + 1) begin
            if (bias_is_row[i]) begin
                values[ROW_BITS'(bias_row + A'(i))] <= bias_values[i*C +: C];
                written[ROW_BITS'(bias_row + A'(i))] <= 1'b1;
            end
        end
        for (i = 0; i < ENTRIES; i = i + 1) begin
            if (write[i]) begin
                values[write_rows[i*ROW_BITS +: ROW_BITS]] <= write_values[i*C +: C];
                written[write_rows[i*ROW_BITS +: ROW_BITS]] <= 1'b1;
            end
        end
        if (start && !keep) written <= {ROWS{1'b0}};
    end

    wire unused = &{1'b0, bias_word};
endmodule
