// A processing element: queue, index memory, decoder, fetch port, lanes, accumulators. T11 (a
// column is popped when the last is done), T13 (a hazard is waited for before the word is asked
// for), T15 (gating), T19 (a beat that reads a word waits for its bank), and the attribution of
// every cycle to one cause.
module pe #(
    parameter A = 16,
    parameter PE = 0,
    parameter PES = 1,
    parameter ENTRIES = 1,
    parameter FORMAT = 0,
    parameter DECOMPRESS = 0,
    parameter GATE = 0,
    parameter GROUP = 1,
    parameter WEIGHT_BITS = 8,
    parameter ACTIVATION_BITS = 8,
    parameter INDEX_BITS = 4,
    parameter POINTER_BITS = 0,
    parameter BIAS_BITS = 0,
    parameter WORD_BITS = 32,
    parameter INDEX_WORD_BITS = 32,
    parameter PRELOAD = 0,
    parameter QUEUE_DEPTH = 1,
    parameter RELEASE_DONE = 0,
    parameter HAZARD_STALL = 0,
    parameter MAC_STAGES = 1,
    parameter ACCUMULATOR_BITS = 32,
    parameter SATURATE = 1,
    parameter ROW_BITS = 4,
    parameter INDEX_ADDRESS_BITS = 8,
    parameter COUNTERS = 14
) (
    input  wire                        clock,
    input  wire                        start,
    input  wire                        loading,
    input  wire                        running,
    input  wire                        draining,
    input  wire [A-1:0]                rows,
    input  wire [A-1:0]                columns,
    input  wire                        accumulate,
    // from the scanner
    input  wire                        push,
    input  wire [A-1:0]                push_column,
    input  wire [ACTIVATION_BITS-1:0]  push_value,
    output wire                        room,
    // fetch port: words of the slice, counted from its base
    output wire                        fetch_request,
    output wire [A-1:0]                fetch_word,
    input  wire                        fetch_granted,
    input  wire                        fetch_blocked,
    input  wire [WORD_BITS-1:0]        fetched,
    // state
    output wire                        load_done,
    output wire                        idle,
    output wire [A-1:0]                queue_length,
    output wire                        active,
    output wire [A-1:0]                column,
    output wire [A-1:0]                beat,
    output wire [31:0]                 cause,
    output wire [COUNTERS*32-1:0]      counters,
    // host: resident index memory, accumulators
    input  wire                        host_index_write,
    input  wire                        host_accumulator_write,
    input  wire [A-1:0]                host_address,
    input  wire [63:0]                 host_word,
    output wire [ACCUMULATOR_BITS-1:0] host_read
);
    localparam DENSE = 0, BITMAP = 1, PENCIL = 3;
    localparam FLAGS = (FORMAT == BITMAP) ? 1 << ROW_BITS
        : (FORMAT == PENCIL) ? ((1 << ROW_BITS) + GROUP - 1) / GROUP : 1;
    localparam BIASES_A_WORD = BIAS_BITS > 0 ? WORD_BITS / BIAS_BITS : 1;
    localparam ITEM = A + ACTIVATION_BITS;

    // --- T1 to T7: the slice
    wire [A-1:0] height, column_flags, pointer_words, preloaded_words, words_to_load;
    wire [A-1:0] first_entry_word, decompress_beats;
    slice_shape #(
        .A(A), .PE(PE), .PES(PES), .FORMAT(FORMAT), .GROUP(GROUP), .ENTRIES(ENTRIES),
        .WORD_BITS(WORD_BITS), .INDEX_WORD_BITS(INDEX_WORD_BITS), .POINTER_BITS(POINTER_BITS),
        .BIAS_BITS(BIAS_BITS), .PRELOAD(PRELOAD)
    ) shape (
        .rows(rows), .columns(columns), .accumulate(accumulate), .height(height),
        .column_flags(column_flags), .pointer_words(pointer_words),
        .preloaded_words(preloaded_words), .words_to_load(words_to_load),
        .first_entry_word(first_entry_word), .decompress_beats(decompress_beats)
    );

    wire load_request, index_write, bias_write;
    wire [A-1:0] load_word, bias_row;
    slice_loader #(.A(A), .BIASES_A_WORD(BIASES_A_WORD)) loader (
        .clock(clock), .start(start), .loading(loading), .blocked(fetch_blocked),
        .granted(fetch_granted), .preloaded_words(preloaded_words),
        .words_to_load(words_to_load), .request(load_request), .word(load_word),
        .done(load_done), .index_write(index_write), .bias_write(bias_write), .bias_row(bias_row)
    );

    // --- T11: the column in work, popped in this cycle if none was
    reg in_work;
    reg [ITEM-1:0] item_in_work;
    wire [ITEM-1:0] head;
    wire advance, last;
    wire waiting = queue_length == {A{1'b0}} && !in_work;
    wire pop = running && !in_work && !waiting;
    wire finish = advance && last;
    wire [ITEM-1:0] item = in_work ? item_in_work : head;
    wire [ACTIVATION_BITS-1:0] value = item[ACTIVATION_BITS-1:0];

    assign idle = waiting;
    assign active = !waiting;
    assign column = item[ITEM-1:ACTIVATION_BITS];

    queue #(
        .A(A), .DEPTH(QUEUE_DEPTH), .ITEM_BITS(ITEM), .RELEASE_DONE(RELEASE_DONE)
    ) queue (
        .clock(clock), .start(start), .push(push), .push_item({push_column, push_value}),
        .pop(pop), .finish(finish), .head(head), .length(queue_length), .room(room)
    );

    always @(posedge clock) begin
        in_work <= !start && (in_work || pop) && !finish;
        if (pop) item_in_work <= head;
    end

    // --- T4: where the column starts and ends, and its index bits
    wire [A-1:0] first_place, end_place;
    wire [FLAGS-1:0] flags;
    generate
        if (FORMAT == DENSE) begin : every_row
            assign first_place = column * height;
            assign end_place = first_place + height;
            assign flags = {FLAGS{1'b0}};
            wire unused = &{1'b0, column_flags, pointer_words, index_write, host_index_write};
        end else begin : indexed
            wire [INDEX_WORD_BITS-1:0] write_word;
            if (PRELOAD != 0) begin : preload
                assign write_word = fetched;
                wire unused = &{1'b0, host_index_write};
            end else begin : resident
                assign write_word = host_word[INDEX_WORD_BITS-1:0];
                wire unused = &{1'b0, index_write};
            end
            index_memory #(
                .A(A), .ADDRESS_BITS(INDEX_ADDRESS_BITS), .WORD_BITS(INDEX_WORD_BITS),
                .POINTER_BITS(POINTER_BITS), .HAS_FLAGS(FORMAT == BITMAP || FORMAT == PENCIL),
                .FLAGS(FLAGS), .GROUP(GROUP)
            ) indices (
                .clock(clock), .start(start),
                .write(PRELOAD != 0 ? index_write : host_index_write),
                .write_address(PRELOAD != 0 ? load_word : host_address),
                .write_word(write_word), .pointer_words(pointer_words),
                .column_flags(column_flags), .column(column), .first_place(first_place),
                .end_place(end_place), .flags(flags)
            );
        end
    endgenerate

    // --- T5, T6: the beat
    wire reads, has_entries;
    wire [A-1:0] entry_word;
    wire [ENTRIES-1:0] is_row;
    wire [ENTRIES*ROW_BITS-1:0] beat_rows;
    wire [ENTRIES*WEIGHT_BITS-1:0] weights;
    decoder #(
        .A(A), .FORMAT(FORMAT), .GROUP(GROUP), .DECOMPRESS(DECOMPRESS), .ENTRIES(ENTRIES),
        .WORD_BITS(WORD_BITS), .WEIGHT_BITS(WEIGHT_BITS), .INDEX_BITS(INDEX_BITS),
        .ROW_BITS(ROW_BITS), .FLAGS(FLAGS)
    ) decoder (
        .clock(clock), .start(start), .active(active), .fresh(!in_work), .advance(advance),
        .height(height), .decompress_beats(decompress_beats), .first_place(first_place),
        .end_place(end_place), .column_flags(flags), .fetched(fetched), .reads(reads),
        .word(entry_word), .has_entries(has_entries), .last(last), .beat(beat), .is_row(is_row),
        .rows(beat_rows), .weights(weights)
    );

    // --- T13 before T19 before the beat
    wire conflict;
    wire hazard = running && active && HAZARD_STALL != 0 && conflict;
    wire entry_request = running && reads && !hazard;
    wire refused = entry_request && !fetch_granted;
    wire gated = GATE != 0 && value == {ACTIVATION_BITS{1'b0}};

    assign fetch_request = load_request || entry_request;
    assign fetch_word = loading ? load_word : first_entry_word + entry_word;
    assign advance = running && active && !hazard && !refused;

    // --- T13 to T15: lanes and accumulators
    wire [ENTRIES*ROW_BITS-1:0] read_rows, write_rows;
    wire [ENTRIES*ACCUMULATOR_BITS-1:0] read_values, write_values;
    wire [ENTRIES-1:0] write;
    lanes #(
        .ENTRIES(ENTRIES), .ROW_BITS(ROW_BITS), .WEIGHT_BITS(WEIGHT_BITS),
        .ACTIVATION_BITS(ACTIVATION_BITS), .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .SATURATE(SATURATE), .MAC_STAGES(MAC_STAGES), .BYPASS(HAZARD_STALL == 0)
    ) lanes (
        .clock(clock), .start(start), .issue(advance), .gated(gated), .is_row(is_row),
        .rows(beat_rows), .weights(weights), .activation(value), .conflict(conflict),
        .read_rows(read_rows), .read_values(read_values), .write(write),
        .write_rows(write_rows), .write_values(write_values)
    );
    accumulators #(
        .A(A), .ENTRIES(ENTRIES), .ROW_BITS(ROW_BITS), .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .WORD_BITS(WORD_BITS), .BIAS_BITS(BIAS_BITS)
    ) accumulators (
        .clock(clock), .start(start), .keep(accumulate), .bias_write(bias_write),
        .bias_row(bias_row), .bias_word(fetched), .host_write(host_accumulator_write),
        .host_row(host_address[ROW_BITS-1:0]),
        .host_value(host_word[ACCUMULATOR_BITS-1:0]), .host_read(host_read),
        .read_rows(read_rows), .read_values(read_values), .write(write),
        .write_rows(write_rows), .write_values(write_values)
    );

    // --- where the cycle goes, and what happened in it
    wire port = (loading && load_request && !fetch_granted) || refused;
    wire busy = advance && has_entries;
    wire empty_column = advance && !has_entries;
    wire idles = running && waiting;

    // Only what follows a wait tells its cause: a pop (starved) or the end (imbalance).
    reg [31:0] waited;
    always @(posedge clock) waited <= (start || pop) ? 32'd0 : waited + 32'(idles);

    reg [A-1:0] multiplications, updates;
    integer k;
    always @* begin
        updates = {A{1'b0}};
        for (k = 0; k < ENTRIES; k = k + 1) updates = updates + A'(advance && is_row[k]);
        multiplications = (DECOMPRESS == 0) ? updates : finish ? height : {A{1'b0}};
    end

    localparam [31:0] LOAD = 0, PORT = 1, BUSY = 2, EMPTY_COLUMN = 3, WAITING = 4, HAZARD = 5,
        DRAIN = 6;
    assign cause = port ? PORT : loading ? LOAD : draining ? DRAIN : idles ? WAITING
        : hazard ? HAZARD : busy ? BUSY : EMPTY_COLUMN;

    wire [31:0] starved;
    counter #(.A(32)) count_starved (
        .clock(clock), .start(start), .step(pop ? waited : 32'd0), .total(starved)
    );
    localparam STEPS = COUNTERS - 2;
    wire [STEPS*A-1:0] steps = {
        A'(load_request && fetch_granted), (gated ? {A{1'b0}} : updates), A'(entry_request && fetch_granted),
        A'(pop), (gated ? multiplications : {A{1'b0}}), (gated ? {A{1'b0}} : multiplications),
        A'(draining), A'(hazard), A'(empty_column), A'(busy), A'(port), A'(loading && !port)
    };
    assign counters[STEPS*32 +: 64] = {waited, starved};
    genvar c;
    generate
        for (c = 0; c < STEPS; c = c + 1) begin : count
            counter #(.A(A)) events (
                .clock(clock), .start(start), .step(steps[c*A +: A]),
                .total(counters[c*32 +: 32])
            );
        end
    endgenerate

    wire unused = &{1'b0, host_address, host_word};
endmodule
