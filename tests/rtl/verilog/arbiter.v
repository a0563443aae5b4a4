// Ports of the data banks: T3 (which word of a slice is in which bank), T7 (a PE does not fetch
// while the operand's word comes from a bank of its own), T18 (the banks that a reserved
// instruction holds), T19 (banks taken by units of higher priority; the operand before the PEs;
// all words of a request are granted together).
module arbiter #(
    parameter A = 16,
    parameter PES = 1,
    parameter BANKS = 1,
    parameter WEIGHTS_IN_BANKS = 1,
    parameter SHARED = 0
) (
    input  wire [BANKS-1:0]   taken,
    input  wire               operand_request,
    input  wire [A-1:0]       operand_address,   // of the first word asked for
    input  wire [A-1:0]       operand_count,     // words asked for
    output wire               operand_granted,
    input  wire [PES-1:0]     pe_request,
    input  wire [PES*A-1:0]   pe_word,           // counted from the slice's base
    input  wire [A-1:0]       slice_base,        // its row of words across the banks
    output wire [PES-1:0]     pe_granted,
    output wire [PES-1:0]     pe_blocked,
    output wire [BANKS-1:0]   bank_granted,
    output wire [BANKS*A-1:0] bank_address,
    input  wire [A-1:0]       instruction_address,  // of the whole operand
    input  wire [A-1:0]       instruction_words,
    output wire [BANKS-1:0]   bank_held
);
    localparam OWN_BANKS = (WEIGHTS_IN_BANKS != 0) ? BANKS / PES : 1;

    wire [BANKS-1:0] free = (SHARED != 0) ? ~taken : {BANKS{1'b1}};
    wire [BANKS-1:0] operand_wants;
    wire [BANKS-1:0] pe_wants;

    assign operand_granted = operand_request && (operand_wants & ~free) == {BANKS{1'b0}};
    assign bank_granted = free & (pe_wants | (operand_granted ? operand_wants : {BANKS{1'b0}}));

    genvar b, p;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : bank
            // The operand's first word in this bank is so many words after its first of all.
            wire [A-1:0] after = (A'(b + BANKS) - operand_address % A'(BANKS)) % A'(BANKS);
            wire [A-1:0] held_after =
                (A'(b + BANKS) - instruction_address % A'(BANKS)) % A'(BANKS);
            wire [A-1:0] operand_row = (operand_address + after) / A'(BANKS);
            assign operand_wants[b] = operand_request && after < operand_count;
            assign bank_held[b] = SHARED == 0
                && (WEIGHTS_IN_BANKS != 0 || held_after < instruction_words);

            if (WEIGHTS_IN_BANKS != 0) begin : of_pe
                wire [A-1:0] word = pe_word[(b % PES)*A +: A];
                assign pe_wants[b] = pe_request[b % PES]
                    && word % A'(OWN_BANKS) == A'(b / PES);
                assign bank_address[b*A +: A] = operand_wants[b]
                    ? operand_row : slice_base + word / A'(OWN_BANKS);
            end else begin : of_operand
                assign pe_wants[b] = 1'b0;
                assign bank_address[b*A +: A] = operand_row;
            end
        end

        for (p = 0; p < PES; p = p + 1) begin : pe
            if (WEIGHTS_IN_BANKS != 0) begin : in_banks
                wire [OWN_BANKS-1:0] refused, by_operand;
                for (b = 0; b < OWN_BANKS; b = b + 1) begin : own
                    assign refused[b] = pe_wants[p + b*PES] && !free[p + b*PES];
                    assign by_operand[b] = operand_granted && operand_wants[p + b*PES];
                end
                assign pe_blocked[p] = |by_operand;
                assign pe_granted[p] = refused == {OWN_BANKS{1'b0}};
            end else begin : in_own_memory
                assign pe_blocked[p] = 1'b0;
                assign pe_granted[p] = 1'b1;
            end
        end
    endgenerate

    wire unused = &{1'b0, taken, pe_request, pe_word, slice_base};
endmodule
