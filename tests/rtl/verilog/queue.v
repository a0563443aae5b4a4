// Activation queue of one PE: T10 (room for a push), T11 (columns leave in order), T12 (when a
// slot frees). A slot may outlive its item: with RELEASE_DONE it frees when the column is done.
module queue #(
    parameter A = 16,
    parameter DEPTH = 1,
    parameter ITEM_BITS = 24,
    parameter RELEASE_DONE = 0
) (
    input  wire                 clock,
    input  wire                 start,
    input  wire                 push,
    input  wire [ITEM_BITS-1:0] push_item,
    input  wire                 pop,
    input  wire                 finish,  // the last beat of the column in work is done
    output wire [ITEM_BITS-1:0] head,
    output reg  [A-1:0]         length,
    output wire                 room
);
    localparam I = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam [I-1:0] LAST = I'(DEPTH - 1);

    reg [ITEM_BITS-1:0] items [0:DEPTH-1];
    reg [I-1:0] first, free;
    reg [A-1:0] slots_taken;
    reg finished;

    wire slot_frees = (RELEASE_DONE != 0) ? finished : pop;

    assign head = items[first];
    assign room = slots_taken < A'(DEPTH);

    always @(posedge clock) begin
        if (push) items[free] <= push_item;
        if (start) begin
            first <= {I{1'b0}};
            free <= {I{1'b0}};
            length <= {A{1'b0}};
            slots_taken <= {A{1'b0}};
            finished <= 1'b0;
        end else begin
            if (pop) first <= (first == LAST) ? {I{1'b0}} : first + I'(1);
            if (push) free <= (free == LAST) ? {I{1'b0}} : free + I'(1);
            length <= length + A'(push) - A'(pop);
            slots_taken <= slots_taken + A'(push) - A'(slot_frees);
            finished <= finish;
        end
    end
endmodule
