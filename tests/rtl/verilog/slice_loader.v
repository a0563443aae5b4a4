// Load phase of a PE, T7: fetches the words in front of its entries, one a cycle in order; those
// of pointers and indices go to the index memory (T4), those of the bias to the accumulators.
module slice_loader #(
    parameter A = 16,
    parameter BIASES_A_WORD = 1
) (
    input  wire         clock,
    input  wire         start,
    input  wire         loading,
    input  wire         blocked,  // the operand's word comes from a bank of this PE
    input  wire         granted,
    input  wire [A-1:0] preloaded_words,
    input  wire [A-1:0] words_to_load,
    output wire         request,
    output reg  [A-1:0] word,
    output wire         done,
    output wire         index_write,
    output wire         bias_write,
    output reg  [A-1:0] bias_row
);
    wire fetched = request && granted;
    wire is_index = word < preloaded_words;

    assign done = word == words_to_load;
    assign request = loading && !done && !blocked;
    assign index_write = fetched && is_index;
    assign bias_write = fetched && !is_index;

    always @(posedge clock) begin
        if (start) begin
            word <= {A{1'b0}};
            bias_row <= {A{1'b0}};
        end else begin
            if (fetched) word <= word + A'(1);
            if (bias_write) bias_row <= bias_row + A'(BIASES_A_WORD);
        end
    end
endmodule
