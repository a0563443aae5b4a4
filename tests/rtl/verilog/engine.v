// The sparse engine of docs/timing.md: one matrix-vector instruction from its issue (`start`, in
// the cycle before cycle 0) to its completion (`done`, for a cycle). T7, T8, T14: the phases; the
// rest is in the blocks. The descriptor inputs hold still from start to done.
module engine #(
    parameter PES = 1,
    parameter LANES = 1,
    parameter MACS_PER_LANE = 1,
    parameter ENTRIES_PER_CYCLE = 1,
    parameter FORMAT = 0,           // 0 dense, 1 bitmap, 2 run_length, 3 pencil
    parameter WEIGHTS = 0,          // 0 skip, 1 dense, 2 decompress
    parameter ACTIVATIONS = 0,      // 0 skip, 1 dense, 2 gate
    parameter GROUP = 1,
    parameter WEIGHT_BITS = 8,
    parameter ACTIVATION_BITS = 8,
    parameter INDEX_BITS = 4,
    parameter POINTER_BITS = 0,
    parameter BIAS_BITS = 0,
    parameter WORD_BITS = 32,
    parameter INDEX_WORD_BITS = 32,
    parameter DATA_WORD_BITS = 32,
    parameter BANKS = 1,
    parameter PRIVATE_WEIGHT_MEMORY = 0,
    parameter PRELOAD = 0,
    parameter SCANNER_WIDTH = 1,
    parameter QUEUE_DEPTH = 1,
    parameter RELEASE_DONE = 0,     // core.queue.release: 0 pop, 1 done
    parameter HAZARD_STALL = 0,     // core.hazard: 0 bypass, 1 stall
    parameter MAC_STAGES = 1,
    parameter ACCUMULATOR_BITS = 32,
    parameter SATURATE = 1,         // numerics.overflow: 0 wrap, 1 saturate
    parameter SHARED_PORTS = 0,     // core.ports: 0 reserved, 1 shared
    parameter ROW_BITS = 5,         // 2**ROW_BITS accumulators a PE
    parameter BANK_ADDRESS_BITS = 9,
    parameter SLICE_ADDRESS_BITS = 9,
    parameter INDEX_ADDRESS_BITS = 7,
    parameter BUFFER_ADDRESS_BITS = 5,
    parameter A = 16,               // bits of sizes and addresses
    parameter PE_COUNTERS = 14,
    parameter STATE_WORDS = 2 + 3 * PES,
    parameter CAUSE_WORDS = 1 + PES,
    parameter RECORD_WORDS = STATE_WORDS + CAUSE_WORDS,
    parameter COUNTER_WORDS = 10 + PE_COUNTERS * PES + 2 * BANKS
) (
    input  wire                        clock,
    input  wire                        reset,
    input  wire                        start,
    // descriptor
    input  wire [A-1:0]                rows,
    input  wire [A-1:0]                columns,
    input  wire [A-1:0]                operand_address,
    input  wire [A-1:0]                slice_base,
    input  wire                        accumulate,
    // banks that units of higher priority take in this cycle
    input  wire [BANKS-1:0]            taken,
    // this cycle: state at its start (lowest words), what it is spent on; totals before it
    output wire                        done,
    output wire [RECORD_WORDS*32-1:0]  record,
    output wire [COUNTER_WORDS*32-1:0] counters,
    // host port: fills the memories between instructions, reads accumulators
    input  wire                        host_write,
    input  wire [1:0]                  host_target,  // 0 bank, 1 slice, 2 index, 3 accumulator
    input  wire [A-1:0]                host_unit,    // bank or PE
    input  wire [A-1:0]                host_address,
    input  wire [63:0]                 host_word,
    output wire [63:0]                 host_read
);
    localparam LANE_MACS = LANES * MACS_PER_LANE;
    localparam ENTRIES = ENTRIES_PER_CYCLE < LANE_MACS ? ENTRIES_PER_CYCLE : LANE_MACS;
    localparam IN_BANKS = (PRIVATE_WEIGHT_MEMORY == 0) ? 1 : 0;
    localparam OWN_BANKS = (IN_BANKS != 0) ? BANKS / PES : 1;
    localparam ACTIVATIONS_A_WORD = DATA_WORD_BITS / ACTIVATION_BITS;
    localparam WINDOW_WORDS =
        (SCANNER_WIDTH + ACTIVATIONS_A_WORD - 2) / ACTIVATIONS_A_WORD + 1;
    localparam D = DATA_WORD_BITS;
    localparam [1:0] BANK = 0, SLICE = 1, INDEX = 2, ACCUMULATOR = 3;

    wire [STATE_WORDS*32-1:0] state_word;
    wire [CAUSE_WORDS*32-1:0] causes;
    assign record = {causes, state_word};

    // --- phases: T7 the load phase may have no cycle; T14 the end, then the pipeline drains
    wire [PES-1:0] pe_load_done, pe_idle, pe_room;
    wire stream_done, scanner_ended;
    reg in_flight;
    reg [A-1:0] drain_left;
    wire clear = start || reset;
    wire loading = in_flight && (!stream_done || pe_load_done != {PES{1'b1}});
    wire ended = in_flight && !loading && scanner_ended && pe_idle == {PES{1'b1}};
    wire running = in_flight && !loading && !ended;
    wire draining = ended && !done;

    assign done = ended && drain_left == {A{1'b0}};

    always @(posedge clock) begin
        in_flight <= !reset && (start || (in_flight && !done));
        if (clear) drain_left <= A'(MAC_STAGES);
        else if (draining) drain_left <= drain_left - A'(1);
    end

    // --- operand: streamed to a buffer in the load phase, or read by the scanner
    wire [A-1:0] operand_words =
        (columns + A'(ACTIVATIONS_A_WORD - 1)) / A'(ACTIVATIONS_A_WORD);
    wire stream_request, stream_write, scanner_request, operand_granted;
    wire [A-1:0] stream_word, window_word, window_count;
    wire [WINDOW_WORDS*D-1:0] bank_window, window_words;
    wire [A-1:0] request_address =
        operand_address + (IN_BANKS != 0 ? stream_word : window_word);
    loader #(.A(A), .ENABLED(IN_BANKS)) loader (
        .clock(clock), .start(clear), .loading(loading), .operand_words(operand_words),
        .granted(operand_granted), .request(stream_request), .word(stream_word),
        .write(stream_write), .done(stream_done)
    );
    generate
        if (IN_BANKS != 0) begin : buffered
            operand_buffer #(
                .A(A), .ADDRESS_BITS(BUFFER_ADDRESS_BITS), .WORD_BITS(D),
                .READ_WORDS(WINDOW_WORDS)
            ) buffer (
                .clock(clock), .write(stream_write), .write_address(stream_word),
                .write_word(bank_window[D-1:0]), .first_word(window_word), .words(window_words)
            );
        end else begin : direct
            assign window_words = bank_window;
            wire unused = &{1'b0, stream_write, stream_word};
        end
    endgenerate

    wire push, window_refused, queue_full, scanner_busy, next_window;
    wire [A-1:0] push_column, window;
    wire [ACTIVATION_BITS-1:0] push_value;
    scanner #(
        .A(A), .WIDTH(SCANNER_WIDTH), .ACTIVATION_BITS(ACTIVATION_BITS), .WORD_BITS(D),
        .READ_WORDS(WINDOW_WORDS), .SKIP(ACTIVATIONS == 0 ? 1 : 0),
        .READS_MEMORY(PRIVATE_WEIGHT_MEMORY)
    ) scanner (
        .clock(clock), .start(clear), .running(running), .columns(columns),
        .room(pe_room == {PES{1'b1}}), .request(scanner_request), .first_word(window_word),
        .word_count(window_count), .granted(operand_granted), .words(window_words), .push(push),
        .push_column(push_column), .push_value(push_value), .window(window),
        .ended(scanner_ended), .refused(window_refused), .queue_full(queue_full),
        .busy(scanner_busy), .next_window(next_window)
    );

    // --- data banks
    wire [PES-1:0] pe_request, pe_granted, pe_blocked, pe_active;
    wire [PES*A-1:0] pe_word;
    wire [BANKS-1:0] bank_granted, bank_held;
    wire [BANKS*A-1:0] bank_address;
    wire [BANKS*D-1:0] bank_word;
    arbiter #(
        .A(A), .PES(PES), .BANKS(BANKS), .WEIGHTS_IN_BANKS(IN_BANKS), .SHARED(SHARED_PORTS)
    ) arbiter (
        .taken(taken), .operand_request(stream_request || scanner_request),
        .operand_address(request_address),
        .operand_count(IN_BANKS != 0 ? A'(1) : window_count),
        .operand_granted(operand_granted), .pe_request(pe_request), .pe_word(pe_word),
        .slice_base(slice_base), .pe_granted(pe_granted), .pe_blocked(pe_blocked),
        .bank_granted(bank_granted), .bank_address(bank_address),
        .instruction_address(operand_address), .instruction_words(operand_words),
        .bank_held(bank_held)
    );

    genvar b, w, p;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : bank
            wire write = host_write && host_target == BANK && host_unit == A'(b);
            memory #(.A(A), .ADDRESS_BITS(BANK_ADDRESS_BITS), .WORD_BITS(D)) store (
                .clock(clock), .address(write ? host_address : bank_address[b*A +: A]),
                .write(write), .write_word(host_word[D-1:0]), .word(bank_word[b*D +: D])
            );
        end
        for (w = 0; w < WINDOW_WORDS; w = w + 1) begin : window_word_of
            wire [A-1:0] from = (request_address + A'(w)) % A'(BANKS);
            selector #(.A(A), .INPUTS(BANKS), .BITS(D)) from_bank (
                .choice(from), .inputs(bank_word), .chosen(bank_window[w*D +: D])
            );
        end
    endgenerate

    // --- processing elements
    wire [A-1:0] queue_lengths [0:PES-1];
    wire [PES*64-1:0] pe_reads;
    wire [A-1:0] pe_columns [0:PES-1];
    wire [A-1:0] pe_beats [0:PES-1];
    generate
        for (p = 0; p < PES; p = p + 1) begin : pe
            wire addressed = host_write && host_unit == A'(p);
            wire [WORD_BITS-1:0] fetched;
            wire [A-1:0] word;
            wire [ACCUMULATOR_BITS-1:0] read;
            assign pe_word[p*A +: A] = word;
            assign pe_reads[p*64 +: 64] =
                {{(64 - ACCUMULATOR_BITS){read[ACCUMULATOR_BITS-1]}}, read};

            if (IN_BANKS != 0) begin : weights_in_banks
                wire [OWN_BANKS*D-1:0] own_words;
                for (b = 0; b < OWN_BANKS; b = b + 1) begin : own
                    assign own_words[b*D +: D] = bank_word[(p + b*PES)*D +: D];
                end
                selector #(.A(A), .INPUTS(OWN_BANKS), .BITS(D)) from_bank (
                    .choice(word % A'(OWN_BANKS)), .inputs(own_words), .chosen(fetched)
                );
            end else begin : private_weights
                wire write = addressed && host_target == SLICE;
                memory #(.A(A), .ADDRESS_BITS(SLICE_ADDRESS_BITS), .WORD_BITS(WORD_BITS)) store (
                    .clock(clock), .address(write ? host_address : slice_base + word),
                    .write(write), .write_word(host_word[WORD_BITS-1:0]), .word(fetched)
                );
            end

            pe #(
                .A(A), .PE(p), .PES(PES), .ENTRIES(ENTRIES), .FORMAT(FORMAT),
                .DECOMPRESS(WEIGHTS == 2 ? 1 : 0), .GATE(ACTIVATIONS == 2 ? 1 : 0),
                .GROUP(GROUP), .WEIGHT_BITS(WEIGHT_BITS), .ACTIVATION_BITS(ACTIVATION_BITS),
                .INDEX_BITS(INDEX_BITS), .POINTER_BITS(POINTER_BITS), .BIAS_BITS(BIAS_BITS),
                .WORD_BITS(WORD_BITS), .INDEX_WORD_BITS(INDEX_WORD_BITS), .PRELOAD(PRELOAD),
                .QUEUE_DEPTH(QUEUE_DEPTH), .RELEASE_DONE(RELEASE_DONE),
                .HAZARD_STALL(HAZARD_STALL), .MAC_STAGES(MAC_STAGES),
                .ACCUMULATOR_BITS(ACCUMULATOR_BITS), .SATURATE(SATURATE), .ROW_BITS(ROW_BITS),
                .INDEX_ADDRESS_BITS(INDEX_ADDRESS_BITS), .COUNTERS(PE_COUNTERS)
            ) pe (
                .clock(clock), .start(clear), .loading(loading), .running(running),
                .draining(draining), .rows(rows), .columns(columns), .accumulate(accumulate),
                .push(push), .push_column(push_column), .push_value(push_value),
                .room(pe_room[p]), .fetch_request(pe_request[p]), .fetch_word(word),
                .fetch_granted(pe_granted[p]), .fetch_blocked(pe_blocked[p]), .fetched(fetched),
                .load_done(pe_load_done[p]), .idle(pe_idle[p]),
                .queue_length(queue_lengths[p]), .active(pe_active[p]),
                .column(pe_columns[p]), .beat(pe_beats[p]), .cause(causes[(1 + p)*32 +: 32]),
                .counters(counters[(10 + p*PE_COUNTERS)*32 +: PE_COUNTERS*32]),
                .host_index_write(addressed && host_target == INDEX),
                .host_accumulator_write(addressed && host_target == ACCUMULATOR),
                .host_address(host_address), .host_word(host_word), .host_read(read)
            );

            assign state_word[(2 + p)*32 +: 32] = 32'(queue_lengths[p]);
            assign state_word[(2 + PES + 2*p)*32 +: 32] =
                pe_active[p] ? 32'(pe_columns[p]) : 32'hffffffff;
            assign state_word[(3 + PES + 2*p)*32 +: 32] =
                pe_active[p] ? 32'(pe_beats[p]) : 32'hffffffff;
        end
    endgenerate
    selector #(.A(A), .INPUTS(PES), .BITS(64)) read_port (
        .choice(host_unit), .inputs(pe_reads), .chosen(host_read)
    );

    // --- state word, causes and counters
    localparam [31:0] LOAD = 0, PORT = 1, BUSY = 2, QUEUE_FULL = 3, PE_WAIT = 4, DRAIN = 6;
    wire stream_refused = stream_request && !operand_granted;
    wire pe_wait = running && scanner_ended;

    assign state_word[31:0] = loading ? 32'd0 : running ? 32'd1 : 32'd2;
    assign state_word[63:32] = 32'(window);
    assign causes[31:0] = (stream_refused || window_refused) ? PORT : loading ? LOAD
        : scanner_busy ? BUSY : queue_full ? QUEUE_FULL : pe_wait ? PE_WAIT : DRAIN;

    wire [A-1:0] operand_reads = stream_write ? A'(1)
        : (scanner_request && operand_granted) ? window_count : {A{1'b0}};
    wire [10*A-1:0] steps = {
        operand_reads, A'(next_window), A'(push), A'(draining), A'(pe_wait), A'(queue_full),
        A'(scanner_busy), A'(stream_refused || window_refused), A'(loading && !stream_refused),
        A'(in_flight && !done)
    };
    genvar c;
    generate
        for (c = 0; c < 10; c = c + 1) begin : count
            counter #(.A(A)) events (
                .clock(clock), .start(clear), .step(steps[c*A +: A]),
                .total(counters[c*32 +: 32])
            );
        end
        for (b = 0; b < BANKS; b = b + 1) begin : count_bank
            localparam AT = 10 + PES*PE_COUNTERS + 2*b;
            counter #(.A(A)) busy (
                .clock(clock), .start(clear), .step(A'(bank_granted[b])),
                .total(counters[AT*32 +: 32])
            );
            counter #(.A(A)) held (
                .clock(clock), .start(clear),
                .step(A'(in_flight && !done && bank_held[b] && !bank_granted[b])),
                .total(counters[(AT+1)*32 +: 32])
            );
        end
    endgenerate

    wire unused = &{1'b0, host_word, window_count, bank_window, pe_granted, pe_request};
endmodule
