// The machine behind emulator.h: the threads of a cluster as fibers on one thread of the CPU.
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include "emulator.h"

namespace emu {
namespace {

constexpr size_t STACK = 128 << 10, GUARD = 256;
constexpr unsigned char POISON = 0xff;  // as a float: NaN

struct Fiber;
using Clock = std::vector<uint32_t>;  // by thread: up to which epoch of it one has heard
using Heard = std::shared_ptr<const Clock>;

struct Group {  // who waits for whom, and how often all have met
  std::string name;
  int expected = 0, arrived = 0;
  unsigned met = 0;
  std::vector<Fiber*> waiting;
  Clock gathering;  // what those who have arrived had heard
  std::vector<Heard> taken;
  Heard heard;  // of the last meeting
};
struct Collective : Group {
  unsigned mask = 0;
  Op op = SYNC;
  uint64_t bits[2][32];
};
struct Warp {
  std::vector<Collective*> all;
  unsigned gone = 0, there = 0;
  unsigned came = 0;  // lanes that have come to a barrier which others of them have yet to come to
  int line = 0;       // of that barrier
};
struct Block {
  std::vector<Warp> warps;
  Group barrier;
  std::unordered_map<int, Group> named;
  int counted[2] = {0, 0};
  int gone = 0;
  char* shared = nullptr;
  std::unordered_map<int, size_t> sites;
  size_t used = 0;
};
struct Fiber {
  Place place;
  Block* block;
  Warp* warp;
  int number;  // in the cluster
  bool done = false;
  unsigned cluster_seen = 0;
  const Group* at = nullptr;
  Heard heard;
  uint32_t epoch = 1;
  std::unordered_map<void*, uint32_t> been;  // how often at each place of the text
  char* stack;
#if defined(__x86_64__)
  void* sp;
#else
  ucontext_t context;
#endif
};

struct Machine {
  std::vector<Fiber> fibers;
  std::vector<Block> blocks;
  std::deque<Fiber*> ready;
  Group cluster;
  Launch how;
  size_t arena = 0;
  void (*run)(void*);
  void* given;
  uint64_t lot;
  bool failed = false;
  std::string error;
} m;

Fiber* self;
std::string last_error;
#if defined(__x86_64__)
void* main_sp;
extern "C" void emu_switch(void** from, void* to);
asm(R"(
.text
.globl emu_switch
.hidden emu_switch
.type emu_switch,@function
emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
void to_main() { emu_switch(&self->sp, main_sp); }
void to_fiber(Fiber* f) { self = f; here = &f->place; emu_switch(&main_sp, f->sp); }
#else
ucontext_t main_context;
void to_main() { swapcontext(&self->context, &main_context); }
void to_fiber(Fiber* f) { self = f; here = &f->place; swapcontext(&main_context, &f->context); }
#endif

std::string name_of(const Fiber& f) {
  auto& p = f.place;
  return "thread " + std::to_string(f.number % int(m.how.block[0] * m.how.block[1] * m.how.block[2])) +
         " of block " + std::to_string(p.block.x + p.grid_dim.x * (p.block.y + p.grid_dim.y * p.block.z));
}

uint64_t draw() {
  m.lot ^= m.lot << 13; m.lot ^= m.lot >> 7; m.lot ^= m.lot << 17;
  return m.lot;
}

// Order 0: all go round in turn; 1: backwards, one as far as it gets; from 2: by lot.
void wake(std::vector<Fiber*>& who) {
  if (m.how.order >= 2)
    for (size_t i = who.size(); i > 1; i--) std::swap(who[i - 1], who[draw() % i]);
  for (Fiber* f : who) {
    f->at = nullptr;
    if (m.how.order == 0 || (m.how.order >= 2 && draw() % 2)) m.ready.push_back(f);
    else m.ready.push_front(f);
  }
  who.clear();
}

void merge(Clock& into, const Clock& from) {
  for (size_t i = 0; i < into.size(); i++) into[i] = std::max(into[i], from[i]);
}

bool join(Group& g, bool tells = true) {  // true for the last one
  if (m.how.races && tells) {
    g.gathering.resize(m.fibers.size());
    if (std::find(g.taken.begin(), g.taken.end(), self->heard) == g.taken.end()) {
      merge(g.gathering, *self->heard);
      g.taken.push_back(self->heard);
    }
    g.gathering[self->number] = self->epoch++;
  }
  if (++g.arrived < g.expected) return false;
  if (m.how.races && !g.gathering.empty()) {
    g.heard = std::make_shared<const Clock>(std::move(g.gathering));
    g.gathering.clear();
    g.taken.clear();
  }
  g.arrived = 0;
  g.met++;
  return true;
}

void wait(Group& g) {
  self->at = &g;
  g.waiting.push_back(self);
  to_main();
}

/// `tells`: who meets here sees what the others have written before.
void meet(Group& g, bool tells = true) {
  if (join(g, tells)) {
    g.waiting.push_back(self);
    std::vector<Fiber*> all;
    all.swap(g.waiting);
    if (m.how.races && tells)
      for (Fiber* f : all) f->heard = g.heard;
    self->at = &g;
    wake(all);
    to_main();
  } else {
    wait(g);
  }
}

void body() {
  m.run(m.given);
  self->done = true;
  self->block->gone++;
  self->warp->gone |= 1u << self->place.lane;
  to_main();
}

void prepare(Fiber& f) {
#if defined(__x86_64__)
  auto top = reinterpret_cast<uintptr_t>(f.stack + STACK) & ~uintptr_t(15);
  auto* sp = reinterpret_cast<void**>(top);
  *--sp = nullptr;  // where `body` would return to: it never does
  *--sp = reinterpret_cast<void*>(&body);
  for (int i = 0; i < 6; i++) *--sp = nullptr;
  f.sp = sp;
#else
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack;
  f.context.uc_stack.ss_size = STACK;
  f.context.uc_link = nullptr;
  makecontext(&f.context, body, 0);
#endif
}

// --- races: of each word, who wrote it last and who has read it since

struct Access { int thread; uint32_t epoch; unsigned cluster; };
struct Word { Access wrote{-1, 0, 0}; std::vector<Access> reads; };
std::unordered_map<uintptr_t, Word> words;
unsigned cluster_now;
char *stacks_from, *stacks_to;

bool before(const Access& a) {
  if (a.cluster != cluster_now) return false;
  return a.thread == self->number || (*self->heard)[a.thread] >= a.epoch;
}

std::string who(const Access& a) {
  unsigned threads = m.how.block[0] * m.how.block[1] * m.how.block[2];
  unsigned block = a.cluster * (m.how.cluster ? m.how.cluster : 1) + a.thread / threads;
  return "thread " + std::to_string(a.thread % threads) + " of block " + std::to_string(block);
}

void clash(const Access& other, const char* mine, const char* theirs, uintptr_t at, void* pc) {
  std::string where = "global memory";
  for (size_t r = 0; r < m.blocks.size(); r++) {
    auto from = reinterpret_cast<uintptr_t>(m.blocks[r].shared);
    if (at >= from && at < from + m.arena)
      where = "shared memory of rank " + std::to_string(r) + " at byte " + std::to_string(at - from);
  }
  Dl_info info{};
  dladdr(pc, &info);
  char place[64];
  snprintf(place, sizeof place, " <%#zx>", size_t(static_cast<char*>(pc) - static_cast<char*>(info.dli_fbase)));
  std::string text = std::string(mine) + " what " + who(other) + " " + theirs +
                     ", without a barrier between: " + where + place;
  fail(text.c_str());
}

// --- banks: in how many turns the lanes of a warp are served

struct Request {
  bool write = false, far = false;
  size_t size = 0;
  std::vector<std::pair<int, size_t>> lanes;  // and where in its block's memory
};
using Asked = std::tuple<int, void*, uint32_t>;  // by a warp, from a place, for the nth time
std::map<Asked, Request> requests;
std::map<std::tuple<void*, bool, bool>, Served> served;

void ask(const char* c, size_t size, bool write, void* pc) {
  for (size_t r = 0; r < m.blocks.size(); r++) {
    const char* from = m.blocks[r].shared;
    if (c < from || c >= from + m.arena) continue;
    Request& q = requests[{self->number / 32, pc, self->been[pc]++}];
    q.write = write;
    q.far |= r != self->place.rank;
    q.size = size;
    q.lanes.push_back({self->place.lane, size_t(c - from)});
  }
}

/// The most words that lanes from `first` up to `last` want of one bank.
int most(const Request& q, int first, int last) {
  std::set<size_t> words;
  for (auto [lane, at] : q.lanes)
    if (lane >= first && lane < last)
      for (size_t w = at / 4; w < (at + q.size + 3) / 4; w++) words.insert(w);
  int count[32] = {}, found = 0;
  for (size_t w : words) found = std::max(found, ++count[w % 32]);
  return found;
}

void serve() {
  for (auto& [key, q] : requests) {
    Served& s = served[{std::get<1>(key), q.write, q.far}];
    s.warps++;
    if (q.far) {
      std::set<size_t> lines, places;
      for (auto [lane, at] : q.lanes) {
        lines.insert(at / 128);
        places.insert(at);
      }
      s.turns += lines.size();
      s.least += (places.size() * q.size + 127) / 128;
      continue;
    }
    // 8 bytes for half a warp at a time, 16 for a quarter; at once where all is in one row of banks.
    int step = q.size > 4 ? int(128 / q.size) : 32, turns = 0, least = 0;
    for (int lane = 0; lane < 32; lane += step) {
      int found = most(q, lane, lane + step);
      turns += found;
      least += found > 0;
    }
    bool row = most(q, 0, 32) == 1;
    s.turns += row ? 1 : turns;
    s.least += row ? 1 : least;
  }
  requests.clear();
}

void touch(const void* p, size_t size, bool write, void* pc) {
  if (!self || m.failed) return;
  auto* c = static_cast<const char*>(p);
  if (c >= stacks_from && c < stacks_to) return;
  if (m.how.banks) ask(c, size, write, pc);
  if (!m.how.races) return;
  auto from = reinterpret_cast<uintptr_t>(p);
  for (uintptr_t at = from >> 2; at <= (from + size - 1) >> 2; at++) {
    Word& w = words[at];
    if (w.wrote.thread >= 0 && !before(w.wrote))
      clash(w.wrote, write ? "writes" : "reads", "has written", at << 2, pc);
    Access me{self->number, self->epoch, cluster_now};
    if (write) {
      for (const Access& r : w.reads)
        if (!before(r)) clash(r, "writes", "has read", at << 2, pc);
      w.reads.clear();
      w.wrote = me;
    } else {
      std::erase_if(w.reads, before);
      w.reads.push_back(me);
    }
  }
}

}  // namespace

const Place* here = nullptr;

void fail(const char* what) {
  if (!m.failed) {
    m.failed = true;
    m.error = std::string(what) + " (" + name_of(*self) + ")";
  }
  to_main();
}

const uint64_t* collect(unsigned mask, Op op, uint64_t bits) {
  Fiber* me = self;
  int lane = me->place.lane;
  Warp& w = *me->warp;
  if (!(mask >> lane & 1)) fail("a lane outside the mask of its collective");
  if (mask & w.gone) fail("a collective waits for a lane that has returned");
  if (mask & ~w.there) fail("the mask of a collective names lanes that the block does not have");
  Collective* c = nullptr;
  for (Collective* one : w.all)
    if (one->mask == mask) c = one;
  if (!c) {
    w.all.push_back(c = new Collective);
    c->mask = mask;
    c->expected = __builtin_popcount(mask);
    c->name = "a collective of lanes";
  }
  if (c->arrived == 0) c->op = op;
  else if (c->op != op) fail("lanes of one warp meet in different collectives");
  unsigned which = c->met & 1;
  c->bits[which][lane] = bits;
  // A shuffle or a vote waits for lanes, and not for their memory.
  meet(*c, op == SYNC);
  return c->bits[which];
}

// A barrier takes whole warps: all lanes come to it at the same place of the text.
static void aligned(int line) {
  Warp& w = *self->warp;
  if (!w.came) w.line = line;
  if (w.line != line) fail("lanes of one warp meet at different barriers");
  w.came |= 1u << self->place.lane;
  if (w.came == w.there) w.came = 0;
}

void block_barrier(int line) {
  aligned(line);
  if (self->block->gone) fail("__syncthreads after threads of the block have returned");
  meet(self->block->barrier);
}

int block_count(int flag) {
  Block& b = *self->block;
  unsigned which = b.barrier.met & 1;
  if (b.barrier.arrived == 0) b.counted[which] = 0;
  b.counted[which] += flag;
  block_barrier(0);
  return b.counted[which];
}

void named_barrier(int id, int threads) {
  Group& g = self->block->named[id];
  if (id < 0 || id > 15) fail("named barriers are 0 to 15");
  if (threads % 32) fail("a named barrier takes whole warps");
  if (g.arrived && g.expected != threads) fail("a named barrier with two different counts");
  g.expected = threads;
  g.name = "named barrier " + std::to_string(id);
  meet(g);
}

void cluster_arrive(int line, bool tells) {
  aligned(line);
  self->cluster_seen = m.cluster.met + 1;
  if (join(m.cluster, tells)) {
    std::vector<Fiber*> all;
    all.swap(m.cluster.waiting);
    wake(all);
  }
}

void cluster_wait() {
  if (m.cluster.met < self->cluster_seen) wait(m.cluster);
  if (m.how.races && m.cluster.heard) {
    Clock both = *self->heard;
    merge(both, *m.cluster.heard);
    self->heard = std::make_shared<const Clock>(std::move(both));
  }
}

void* map_shared(const void* p, unsigned rank) {
  ptrdiff_t offset = static_cast<const char*>(p) - self->block->shared;
  if (offset < 0 || size_t(offset) >= m.arena) fail("only shared memory is mapped to other blocks");
  if (rank >= m.blocks.size()) fail("no such block in the cluster");
  if (m.blocks[rank].gone) fail("shared memory of a block whose threads have returned");
  return m.blocks[rank].shared + offset;
}

void* static_shared(int site, size_t size, size_t alignment) {
  Block& b = *self->block;
  auto found = b.sites.find(site);
  if (found == b.sites.end()) {
    b.used = (b.used + alignment - 1) & ~(alignment - 1);
    found = b.sites.emplace(site, b.used).first;
    b.used += size;
    if (b.used > (48 << 10)) fail("more than 48 KB of static shared memory");
  }
  return b.shared + m.how.shared + found->second;
}

void* dynamic_shared() { return self->block->shared; }
unsigned active() { return 1u << self->place.lane; }

int launch(void (*run)(void*), void* given, const Launch& how) {
  unsigned threads = how.block[0] * how.block[1] * how.block[2];
  unsigned ranks = how.cluster ? how.cluster : 1;
  last_error.clear();
  auto no = [](const char* why) { last_error = why; return 1; };
  if (!threads || threads > 1024) return no("a block has 1 to 1024 threads");
  if (how.shared > (227 << 10)) return no("more than 227 KB of shared memory");
  if (!how.grid[0] || !how.grid[1] || !how.grid[2]) return no("an empty grid");
  if (how.grid[0] % ranks) return no("the grid is not a whole number of clusters");
  if (ranks > 8) return no("more than 8 blocks in a cluster");
  size_t dynamic = (how.shared + 255) & ~size_t(255);
  m.arena = dynamic + (48 << 10);
  char* memory = static_cast<char*>(aligned_alloc(256, (m.arena + GUARD) * ranks));
  char* stacks = static_cast<char*>(malloc(STACK * threads * ranks));
  stacks_from = stacks;
  stacks_to = stacks + STACK * threads * ranks;
  words.clear();
  requests.clear();
  served.clear();
  m.run = run;
  m.given = given;
  m.how = how;
  m.how.shared = dynamic;
  m.lot = 0x9e3779b97f4a7c15ull * uint64_t(how.order + 1) | 1;
  m.failed = false;
  unsigned clusters = how.grid[0] / ranks;
  for (unsigned z = 0; z < how.grid[2] && !m.failed; z++)
  for (unsigned y = 0; y < how.grid[1] && !m.failed; y++)
  for (unsigned k = 0; k < clusters && !m.failed; k++) {
    unsigned c = how.order == 1 ? clusters - 1 - k : k;
    memset(memory, POISON, (m.arena + GUARD) * ranks);
    m.blocks.assign(ranks, Block{});
    m.fibers.assign(size_t(ranks) * threads, Fiber{});
    m.ready.clear();
    m.cluster = Group{};
    m.cluster.name = "the cluster's barrier";
    m.cluster.expected = int(ranks * threads);
    std::vector<Fiber*> all;
    Heard nothing = std::make_shared<const Clock>(size_t(ranks) * threads);
    cluster_now = c + clusters * (y + how.grid[1] * z);
    for (auto i = words.begin(); i != words.end();)  // shared memory begins anew
      i = i->first << 2 >= reinterpret_cast<uintptr_t>(memory) &&
                  i->first << 2 < reinterpret_cast<uintptr_t>(memory) + (m.arena + GUARD) * ranks
              ? words.erase(i) : std::next(i);
    for (unsigned r = 0; r < ranks; r++) {
      Block& b = m.blocks[r];
      b.shared = memory + (m.arena + GUARD) * r;
      b.warps.resize((threads + 31) / 32);
      b.barrier.expected = int(threads);
      b.barrier.name = "__syncthreads";
      for (unsigned i = 0; i < threads; i++) {
        Fiber& f = m.fibers[r * threads + i];
        unsigned x = i % how.block[0], rest = i / how.block[0];
        f.place = {{x, rest % how.block[1], rest / how.block[1]}, {c * ranks + r, y, z},
                   {how.block[0], how.block[1], how.block[2]},
                   {how.grid[0], how.grid[1], how.grid[2]}, int(i % 32), r, ranks};
        f.block = &b;
        f.warp = &b.warps[i / 32];
        f.warp->there |= 1u << (i % 32);
        f.number = int(r * threads + i);
        f.heard = nothing;
        f.stack = stacks + STACK * f.number;
        prepare(f);
        all.push_back(&f);
      }
    }
    wake(all);
    while (!m.ready.empty() && !m.failed) {
      Fiber* f = m.ready.front();
      m.ready.pop_front();
      to_fiber(f);
    }
    serve();
    for (Fiber& f : m.fibers)
      if (!m.failed && !f.done) {
        m.failed = true;
        m.error = name_of(f) + " waits for ever at " + (f.at ? f.at->name : "?");
      }
    for (Block& b : m.blocks) {
      for (size_t i = 0; i < GUARD && !m.failed; i++)
        if (static_cast<unsigned char>(b.shared[m.arena + i]) != POISON) {
          m.failed = true;
          m.error = "something was written behind the shared memory";
        }
      for (size_t i = how.shared; i < dynamic && !m.failed; i++)
        if (static_cast<unsigned char>(b.shared[i]) != POISON) {
          m.failed = true;
          m.error = "something was written behind the dynamic shared memory";
        }
      for (Warp& w : b.warps)
        for (Collective* one : w.all) delete one;
    }
  }
  free(memory);
  free(stacks);
  self = nullptr;
  if (m.failed) last_error = m.error;
  return m.failed;
}

}  // namespace emu

// What g++ calls at each access under -fsanitize=thread, in place of its own library.
#define HOOKS(N) \
  extern "C" void __tsan_read##N(void* p) { emu::touch(p, N, false, __builtin_return_address(0)); } \
  extern "C" void __tsan_write##N(void* p) { emu::touch(p, N, true, __builtin_return_address(0)); } \
  extern "C" void __tsan_unaligned_read##N(void* p) { emu::touch(p, N, false, __builtin_return_address(0)); } \
  extern "C" void __tsan_unaligned_write##N(void* p) { emu::touch(p, N, true, __builtin_return_address(0)); } \
  extern "C" void __tsan_volatile_read##N(void* p) { emu::touch(p, N, false, __builtin_return_address(0)); } \
  extern "C" void __tsan_volatile_write##N(void* p) { emu::touch(p, N, true, __builtin_return_address(0)); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
extern "C" void __tsan_read_range(void* p, size_t n) { emu::touch(p, n, false, __builtin_return_address(0)); }
extern "C" void __tsan_write_range(void* p, size_t n) { emu::touch(p, n, true, __builtin_return_address(0)); }
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void* __tsan_memcpy(void* a, const void* b, size_t n) { return memcpy(a, b, n); }
extern "C" void* __tsan_memset(void* a, int c, size_t n) { return memset(a, c, n); }

extern "C" __attribute__((visibility("default"))) const char* emu_error() { return emu::last_error.c_str(); }
/// Of the last launch; returns how many there are.
extern "C" __attribute__((visibility("default"))) int emu_served(emu::Served* out, int room) {
  int count = 0;
  for (auto& [key, found] : emu::served) {
    if (count < room) {
      auto [pc, write, far] = key;
      Dl_info info{};
      dladdr(pc, &info);
      out[count] = found;
      out[count].pc = uint64_t(static_cast<char*>(pc) - static_cast<char*>(info.dli_fbase));
      out[count].write = write;
      out[count].far = far;
    }
    count++;
  }
  return count;
}
