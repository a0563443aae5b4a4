// The MAC lanes of a PE: MAC_STAGES cycles from a beat to its accumulators (T14), and what two
// updates of a row within them cost (T13). The accumulator is read in the first stage and written
// at the end of the last. With BYPASS what is written replaces what stages behind have read;
// without it the PE must wait while `conflict` says so.
module lanes #(
    parameter ENTRIES = 1,
    parameter ROW_BITS = 4,
    parameter WEIGHT_BITS = 8,
    parameter ACTIVATION_BITS = 8,
    parameter ACCUMULATOR_BITS = 32,
    parameter SATURATE = 1,
    parameter MAC_STAGES = 1,
    parameter BYPASS = 1
) (
    input  wire                                clock,
    input  wire                                start,
    input  wire                                issue,  // a beat is done in this cycle
    input  wire                                gated,  // it updates nothing but takes its time
    input  wire [ENTRIES-1:0]                  is_row,
    input  wire [ENTRIES*ROW_BITS-1:0]         rows,
    input  wire [ENTRIES*WEIGHT_BITS-1:0]      weights,
    input  wire [ACTIVATION_BITS-1:0]          activation,
    output wire                                conflict,
    output wire [ENTRIES*ROW_BITS-1:0]         read_rows,
    input  wire [ENTRIES*ACCUMULATOR_BITS-1:0] read_values,
    output wire [ENTRIES-1:0]                  write,
    output wire [ENTRIES*ROW_BITS-1:0]         write_rows,
    output wire [ENTRIES*ACCUMULATOR_BITS-1:0] write_values
);
    localparam E = ENTRIES;
    localparam M = MAC_STAGES;
    localparam R = E * ROW_BITS;
    localparam C = ACCUMULATOR_BITS;
    localparam P = WEIGHT_BITS + ACTIVATION_BITS;

    // What each stage holds in this cycle, stage 0 lowest.
    wire [M*E-1:0] updates;
    wire [M-1:0] gates;
    wire [M*R-1:0] stage_rows;
    wire [M*E*P-1:0] products;
    wire [M*E*C-1:0] operands;

    assign read_rows = stage_rows[0 +: R];
    assign write_rows = stage_rows[(M-1)*R +: R];
    assign write = updates[(M-1)*E +: E] & {E{!gates[M-1]}};

    genvar s, k;
    generate
        for (s = 0; s < M; s = s + 1) begin : stage
            reg [E-1:0] update;
            reg gate;
            reg [R-1:0] row;
            assign updates[s*E +: E] = update;
            assign gates[s] = gate;
            assign stage_rows[s*R +: R] = row;

            if (s == 0) begin : first
                reg [E*WEIGHT_BITS-1:0] weight;
                reg [ACTIVATION_BITS-1:0] value;
                always @(posedge clock) begin
                    update <= (issue && !start) ? is_row : {E{1'b0}};
                    gate <= gated;
                    row <= rows;
                    weight <= weights;
                    value <= activation;
                end
                assign operands[0 +: E*C] = read_values;
                for (k = 0; k < E; k = k + 1) begin : multiplier
                    assign products[k*P +: P] =
                        {{ACTIVATION_BITS{weight[k*WEIGHT_BITS + WEIGHT_BITS - 1]}},
                         weight[k*WEIGHT_BITS +: WEIGHT_BITS]}
                        * {{WEIGHT_BITS{value[ACTIVATION_BITS-1]}}, value};
                end
            end else begin : later
                reg [E*P-1:0] product;
                reg [E*C-1:0] operand;
                wire [E*C-1:0] newest;
                always @(posedge clock) begin
                    update <= start ? {E{1'b0}} : updates[(s-1)*E +: E];
                    gate <= gates[s-1];
                    row <= stage_rows[(s-1)*R +: R];
                    product <= products[(s-1)*E*P +: E*P];
                    operand <= newest;
                end
                assign products[s*E*P +: E*P] = product;
                assign operands[s*E*C +: E*C] = operand;
                for (k = 0; k < E; k = k + 1) begin : bypass
                    bypass #(.ENTRIES(E), .ROW_BITS(ROW_BITS), .BITS(C), .ENABLED(BYPASS)) mux (
                        .row(stage_rows[(s-1)*R + k*ROW_BITS +: ROW_BITS]),
                        .held(operands[((s-1)*E + k)*C +: C]),
                        .write(write),
                        .write_rows(write_rows),
                        .write_values(write_values),
                        .newest(newest[k*C +: C])
                    );
                end
            end
        end

        for (k = 0; k < E; k = k + 1) begin : adder
            accumulate #(
                .PRODUCT_BITS(P), .ACCUMULATOR_BITS(C), .SATURATE(SATURATE)
            ) add (
                .accumulator(operands[((M-1)*E + k)*C +: C]),
                .product(products[((M-1)*E + k)*P +: P]),
                .sum(write_values[k*C +: C])
            );
        end

        // A beat in stage s was done s + 1 cycles ago: in all but the last, less than M ago.
        if (M > 1) begin : scoreboard
            localparam ROWS = 1 << ROW_BITS;
            reg [(M-1)*ROWS-1:0] pending;  // by stage, the rows that it updates
            reg [ROWS-1:0] wanted, busy;
            integer e, t;
            always @* begin
                wanted = {ROWS{1'b0}};
                for (e = 0; e < E; e = e + 1)
                    wanted = wanted | (ROWS'(is_row[e]) << rows[e*ROW_BITS +: ROW_BITS]);
                busy = {ROWS{1'b0}};
                for (t = 0; t < M - 1; t = t + 1) busy = busy | pending[t*ROWS +: ROWS];
            end
            wire [M*ROWS-1:0] shifted = {pending, wanted & {ROWS{issue}}};
            always @(posedge clock)
                pending <= start ? {((M-1)*ROWS){1'b0}} : shifted[(M-1)*ROWS-1:0];
            wire unused = &{1'b0, shifted};
            assign conflict = |(wanted & busy);
        end else begin : no_scoreboard
            assign conflict = 1'b0;
        end
    endgenerate
endmodule
