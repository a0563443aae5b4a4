// Drives one Verilated engine: fills its memories, runs an instruction, records every cycle.
#include <cstdint>
#include "Vengine.h"

struct Engine {
    VerilatedContext context;
    Vengine* top;
};

static void tick(Vengine* top) {
    top->clock = 0;
    top->eval();
    top->clock = 1;
    top->eval();
}

extern "C" {

Engine* engine_new() {
    Engine* engine = new Engine;
    engine->context.randReset(2);  // registers and memories start with anything but zeros
    engine->context.randSeed(1);
    engine->top = new Vengine{&engine->context};
    engine->top->reset = 1;
    tick(engine->top);
    engine->top->reset = 0;
    return engine;
}

void engine_delete(Engine* engine) {
    engine->top->final();
    delete engine->top;
    delete engine;
}

// Write `count` words to consecutive addresses of a unit's memory.
void engine_write(Engine* engine, int target, int unit, int address, int count,
                  const uint64_t* words) {
    Vengine* top = engine->top;
    top->host_write = 1;
    top->host_target = target;
    top->host_unit = unit;
    for (int i = 0; i < count; ++i) {
        top->host_address = address + i;
        top->host_word = words[i];
        tick(top);
    }
    top->host_write = 0;
}

// Run an instruction; `taken` holds a mask of banks for each of the first `taken_cycles` cycles.
// Every cycle adds RECORD_WORDS values to `record`. Returns the cycles, or -1 if
// the instruction is not complete after `most_cycles`.
int engine_run(Engine* engine, const int32_t* descriptor, const uint32_t* taken,
               int taken_cycles, int most_cycles, int32_t* record, int32_t* counters) {
    Vengine* top = engine->top;
    top->rows = descriptor[0];
    top->columns = descriptor[1];
    top->operand_address = descriptor[2];
    top->slice_base = descriptor[3];
    top->accumulate = descriptor[4];
    top->start = 1;
    tick(top);
    top->start = 0;
    for (int cycle = 0; cycle <= most_cycles; ++cycle) {
        top->taken = cycle < taken_cycles ? taken[cycle] : 0;
        top->clock = 0;
        top->eval();
        if (top->done) {
            for (int i = 0; i < COUNTER_WORDS; ++i) counters[i] = top->counters[i];
            return cycle;
        }
        if (cycle < most_cycles) {
            for (int i = 0; i < RECORD_WORDS; ++i) *record++ = top->record[i];
        }
        top->clock = 1;
        top->eval();
    }
    return -1;
}

// Read the first `count` accumulators of a PE.
void engine_read(Engine* engine, int pe, int count, int64_t* values) {
    engine->top->host_unit = pe;
    for (int i = 0; i < count; ++i) {
        engine->top->host_address = i;
        engine->top->eval();
        values[i] = engine->top->host_read;
    }
}
}
