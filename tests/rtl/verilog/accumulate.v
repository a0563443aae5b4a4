// One addition in the accumulator's width, with its overflow (docs/design.md, numbers).
module accumulate #(
    parameter PRODUCT_BITS = 16,
    parameter ACCUMULATOR_BITS = 32,
    parameter SATURATE = 1
) (
    input  wire [ACCUMULATOR_BITS-1:0] accumulator,
    input  wire [PRODUCT_BITS-1:0]     product,
    output wire [ACCUMULATOR_BITS-1:0] sum
);
    localparam WIDE = 1 + (PRODUCT_BITS > ACCUMULATOR_BITS ? PRODUCT_BITS : ACCUMULATOR_BITS);
    localparam SIGN = ACCUMULATOR_BITS - 1;

    wire [WIDE-1:0] wide_accumulator =
        {{(WIDE - ACCUMULATOR_BITS){accumulator[SIGN]}}, accumulator};
    wire [WIDE-1:0] wide_product =
        {{(WIDE - PRODUCT_BITS){product[PRODUCT_BITS-1]}}, product};
    wire [WIDE-1:0] total = wide_accumulator + wide_product;
    wire fits = total[WIDE-1:SIGN] == {(WIDE - SIGN){total[WIDE-1]}};

    assign sum = (fits || SATURATE == 0)
        ? total[ACCUMULATOR_BITS-1:0]
        : {total[WIDE-1], {SIGN{!total[WIDE-1]}}};
endmodule
