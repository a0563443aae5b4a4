// Activation scanner: T8 (a window a cycle, a push a cycle), T9 (what is pushed), T10 (a full
// queue stops it), T19 (with READS_MEMORY a window's words are asked for together, once).
module scanner #(
    parameter A = 16,
    parameter WIDTH = 1,
    parameter ACTIVATION_BITS = 8,
    parameter WORD_BITS = 32,
    parameter READ_WORDS = 1,  // most words of a window
    parameter SKIP = 1,
    parameter READS_MEMORY = 0
) (
    input  wire                            clock,
    input  wire                            start,
    input  wire                            running,
    input  wire [A-1:0]                    columns,
    input  wire                            room,     // in every PE's queue
    output wire                            request,
    output wire [A-1:0]                    first_word,
    output wire [A-1:0]                    word_count,
    input  wire                            granted,
    input  wire [READ_WORDS*WORD_BITS-1:0] words,    // from first_word on
    output wire                            push,
    output wire [A-1:0]                    push_column,
    output wire [ACTIVATION_BITS-1:0]      push_value,
    output reg  [A-1:0]                    window,
    output wire                            ended,
    output wire                            refused,
    output wire                            queue_full,
    output wire                            busy,
    output wire                            next_window
);
    localparam A_WORD = WORD_BITS / ACTIVATION_BITS;
    localparam I = WIDTH > 1 ? $clog2(WIDTH) : 1;

    reg [A-1:0] base;      // the window's first activation
    reg [A-1:0] position;  // activations of the window that are done with
    reg window_granted;
    reg [READ_WORDS*WORD_BITS-1:0] held;

    wire [A-1:0] window_end = (columns - base < A'(WIDTH)) ? columns : base + A'(WIDTH);
    wire [A-1:0] offset = base % A'(A_WORD);

    assign ended = base >= columns;
    assign first_word = base / A'(A_WORD);
    assign word_count = (window_end - A'(1)) / A'(A_WORD) - first_word + A'(1);
    assign request = running && !ended && READS_MEMORY != 0 && !window_granted;
    assign refused = request && !granted;

    wire examine = running && !ended && !refused;
    wire [READ_WORDS*WORD_BITS-1:0] window_words =
        (READS_MEMORY != 0 && window_granted) ? held : words;
    wire [READ_WORDS*WORD_BITS-1:0] aligned = window_words >> (offset * A'(ACTIVATION_BITS));

    reg [WIDTH-1:0] candidates;
    reg [I-1:0] chosen;
    reg [ACTIVATION_BITS-1:0] value;
    integer i;
    always @* begin
        chosen = {I{1'b0}};
        value = aligned[ACTIVATION_BITS-1:0];
        for (i = WIDTH - 1; i >= 0; i = i - 1) begin
            candidates[i] = A'(i) >= position && base + A'(i) < columns
                && (SKIP == 0 || |aligned[i*ACTIVATION_BITS +: ACTIVATION_BITS]);
            if (candidates[i]) begin
                chosen = I'(i);
                value = aligned[i*ACTIVATION_BITS +: ACTIVATION_BITS];
            end
        end
    end

    wire any = |candidates;
    wire more = |(candidates & (candidates - WIDTH'(1)));

    assign push = examine && any && room;
    assign push_column = base + A'(chosen);
    assign push_value = value;
    assign queue_full = examine && any && !room;
    assign busy = examine && !queue_full;
    assign next_window = busy && !more;

    always @(posedge clock) begin
        if (start) begin
            window <= {A{1'b0}};
            base <= {A{1'b0}};
            position <= {A{1'b0}};
            window_granted <= 1'b0;
        end else if (examine) begin
            if (next_window) begin
                window <= window + A'(1);
                base <= base + A'(WIDTH);
            end
            position <= next_window ? {A{1'b0}} : push ? A'(chosen) + A'(1) : position;
            window_granted <= !next_window;
        end
        if (request && granted) held <= words;
    end

    wire unused = &{1'b0, aligned, held};
endmodule
