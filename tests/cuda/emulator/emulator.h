// Lets CUDA C++ compile with g++ and run on the CPU. README.md says what it accepts.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#define QRLANG_EMULATOR 1
#define __CUDA_ARCH__ 900
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__
#define __builtin_assume(x) ((void)0)

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };

namespace emu {

// --- what emulator.cpp does

struct Place { uint3 thread, block; dim3 block_dim, grid_dim; int lane; unsigned rank, ranks; };
extern const Place* here;  // of the fiber that runs

enum Op { SYNC = 1, SHFL, BALLOT, REDUCE, MATCH };
/// One collective of the lanes in `mask`: everybody's bits, by lane.
const uint64_t* collect(unsigned mask, Op op, uint64_t bits);
void block_barrier(int line);
int block_count(int flag);  // how many threads of the block have it set; waits for all
void named_barrier(int id, int threads);
void cluster_arrive(int line, bool tells = true);
void cluster_wait();
void* map_shared(const void* p, unsigned rank);
void* static_shared(int site, size_t size, size_t alignment);
void* dynamic_shared();
void fail(const char* what);
unsigned active();

struct Launch { unsigned grid[3], block[3], cluster; size_t shared; int order, races, banks; };
/// Accesses to shared memory from one place of the text: how often a warp came there, in how many turns
/// of 32 banks its lanes were served, and how many it takes at least. `far`: another block's memory,
/// where turns are lines of 128 bytes.
struct Served { uint64_t pc; int write, far; uint64_t warps, turns, least; };
int launch(void (*run)(void*), void* given, const Launch& how);

template <class... A, size_t... I>
void apply(void (*f)(A...), void** given, std::index_sequence<I...>) {
  f(*static_cast<std::remove_cv_t<std::remove_reference_t<A>>*>(given[I])...);
}
template <class... A> void call(void (*f)(A...), void** given) {
  apply(f, given, std::index_sequence_for<A...>{});
}
template <class... A> constexpr int arity(void (*)(A...)) { return sizeof...(A); }
template <class... A> int sizes(void (*)(A...), int* out) { int i = 0; ((out[i++] = sizeof(A)), ...); return i; }

template <class T> uint64_t bits(T v) {
  static_assert(sizeof(T) <= 8 && std::is_arithmetic_v<T>, "shuffles take numbers up to 8 bytes");
  uint64_t out = 0;
  memcpy(&out, &v, sizeof v);
  return out;
}
template <class T> T value(uint64_t b) { T out; memcpy(&out, &b, sizeof out); return out; }
template <class T> T pick(unsigned mask, T v, int source) {
  const uint64_t* all = collect(mask, SHFL, bits(v));
  if (!(mask >> source & 1)) fail("a shuffle reads a lane outside its mask");
  return value<T>(all[source]);
}
}  // namespace emu

#define threadIdx (emu::here->thread)
#define blockIdx (emu::here->block)
#define blockDim (emu::here->block_dim)
#define gridDim (emu::here->grid_dim)
constexpr int warpSize = 32;

// --- vectors

#define EMU_VECTOR(T, N) \
  struct alignas(2 * sizeof(T)) N##2 { T x, y; }; \
  struct N##3 { T x, y, z; }; \
  struct alignas(sizeof(T) * 4 > 16 ? 16 : sizeof(T) * 4) N##4 { T x, y, z, w; }; \
  inline N##2 make_##N##2(T x, T y) { return {x, y}; } \
  inline N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; } \
  inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define uint3 emu_uint3_
EMU_VECTOR(float, float)
EMU_VECTOR(double, double)
EMU_VECTOR(int, int)
EMU_VECTOR(unsigned, uint)
EMU_VECTOR(long long, longlong)
#undef uint3

// --- collectives

#define __syncthreads() emu::block_barrier(__LINE__)
inline int __syncthreads_count(int p) { return emu::block_count(p != 0); }
inline int __syncthreads_or(int p) { return emu::block_count(p != 0) != 0; }
inline int __syncthreads_and(int p) { return emu::block_count(p == 0) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emu::collect(mask, emu::SYNC, 0); }
inline unsigned __activemask() { return emu::active(); }
template <class T> T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  int base = emu::here->lane & ~(width - 1);
  return emu::pick(mask, v, base | (source & (width - 1)));
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int by, int width = 32) {
  int lane = emu::here->lane, source = lane ^ by;
  return emu::pick(mask, v, source < (lane & ~(width - 1)) + width ? source : lane);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32) {
  int lane = emu::here->lane, source = lane - int(by);
  return emu::pick(mask, v, source < (lane & ~(width - 1)) ? lane : source);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32) {
  int lane = emu::here->lane, source = lane + int(by);
  return emu::pick(mask, v, source >= (lane & ~(width - 1)) + width ? lane : source);
}
inline unsigned __ballot_sync(unsigned mask, int p) {
  const uint64_t* all = emu::collect(mask, emu::BALLOT, p != 0);
  unsigned out = 0;
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1) out |= unsigned(all[i]) << i;
  return out;
}
inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, p) == mask; }
#define EMU_REDUCE(NAME, T, EXPR) \
  inline T __reduce_##NAME##_sync(unsigned mask, T v) { \
    const uint64_t* all = emu::collect(mask, emu::REDUCE, emu::bits(v)); \
    bool first = true; T a{}; \
    for (int i = 0; i < 32; i++) \
      if (mask >> i & 1) { T b = emu::value<T>(all[i]); a = first ? b : EXPR; first = false; } \
    return a; \
  }
EMU_REDUCE(add, unsigned, a + b)
EMU_REDUCE(add, int, a + b)
EMU_REDUCE(min, unsigned, (a < b ? a : b))
EMU_REDUCE(max, unsigned, (a > b ? a : b))
EMU_REDUCE(min, int, (a < b ? a : b))
EMU_REDUCE(max, int, (a > b ? a : b))
EMU_REDUCE(and, unsigned, (a & b))
EMU_REDUCE(or, unsigned, (a | b))
EMU_REDUCE(xor, unsigned, (a ^ b))

// --- clusters

inline unsigned __clusterRelativeBlockRank() { return emu::here->rank; }
inline unsigned __clusterSizeInBlocks() { return emu::here->ranks; }
#define __cluster_barrier_arrive() emu::cluster_arrive(__LINE__)
#define __cluster_barrier_arrive_relaxed() emu::cluster_arrive(__LINE__, false)
inline void __cluster_barrier_wait() { emu::cluster_wait(); }
inline void* __cluster_map_shared_rank(const void* p, unsigned rank) {
  return emu::map_shared(p, rank);
}

// --- memory

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
template <class T> T __ldg(const T* p) { return *p; }
template <class T> T __ldcg(const T* p) { return *p; }
template <class T> T __ldcs(const T* p) { return *p; }
template <class T> void __stcs(T* p, T v) { *p = v; }
template <class T> void __stcg(T* p, T v) { *p = v; }
#define EMU_ATOMIC(NAME, EXPR) \
  template <class T> __attribute__((no_sanitize("thread"))) T atomic##NAME(T* p, T v) { \
    T old = *p; *p = EXPR; return old; } \
  template <class T> T atomic##NAME##_block(T* p, T v) { return atomic##NAME(p, v); }
EMU_ATOMIC(Add, old + v)
EMU_ATOMIC(Sub, old - v)
EMU_ATOMIC(Exch, v)
EMU_ATOMIC(Min, (old < v ? old : v))
EMU_ATOMIC(Max, (old > v ? old : v))
EMU_ATOMIC(Or, old | v)
EMU_ATOMIC(And, old & v)
EMU_ATOMIC(Xor, old ^ v)
template <class T> __attribute__((no_sanitize("thread"))) T atomicCAS(T* p, T expected, T v) {
  T old = *p;
  if (old == expected) *p = v;
  return old;
}

// --- numbers

inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1 / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frsqrt_rn(float a) { return 1 / sqrtf(a); }
inline float rsqrtf(float a) { return 1 / sqrtf(a); }
inline double rsqrt(double a) { return 1 / sqrt(a); }
inline float __expf(float a) { return expf(a); }
inline float __logf(float a) { return logf(a); }
inline float __log2f(float a) { return log2f(a); }
inline float __sinf(float a) { return sinf(a); }
inline float __cosf(float a) { return cosf(a); }
inline float __tanf(float a) { return tanf(a); }
inline float __tanhf(float a) { return tanhf(a); }
inline float __powf(float a, float b) { return powf(a, b); }
inline float __saturatef(float a) { return a < 0 ? 0.f : a > 1 ? 1.f : a; }
inline void __sincosf(float a, float* s, float* c) { *s = sinf(a); *c = cosf(a); }
inline float sinpif(float a) { return float(sin(M_PI * a)); }
inline float cospif(float a) { return float(cos(M_PI * a)); }
inline double sinpi(double a) { return sin(M_PI * a); }
inline double cospi(double a) { return cos(M_PI * a); }
inline void sincospif(float a, float* s, float* c) { *s = sinpif(a); *c = cospif(a); }
inline void sincospi(double a, double* s, double* c) { *s = sinpi(a); *c = cospi(a); }
inline int __float2int_rn(float a) { return int(lrintf(a)); }
inline int __float2int_rz(float a) { return int(a); }
inline int __float2int_rd(float a) { return int(floorf(a)); }
inline int __double2int_rn(double a) { return int(lrint(a)); }
inline long long __double2ll_rn(double a) { return llrint(a); }
inline float __int2float_rn(int a) { return float(a); }
inline float __uint2float_rn(unsigned a) { return float(a); }
inline int __float_as_int(float a) { return emu::value<int>(emu::bits(a)); }
inline unsigned __float_as_uint(float a) { return emu::value<unsigned>(emu::bits(a)); }
inline float __int_as_float(int a) { return emu::value<float>(emu::bits(a)); }
inline float __uint_as_float(unsigned a) { return emu::value<float>(emu::bits(a)); }
inline long long __double_as_longlong(double a) { return emu::value<long long>(emu::bits(a)); }
inline double __longlong_as_double(long long a) { return emu::value<double>(emu::bits(a)); }
inline int __popc(unsigned a) { return __builtin_popcount(a); }
inline int __popcll(unsigned long long a) { return __builtin_popcountll(a); }
inline int __clz(int a) { return a ? __builtin_clz(unsigned(a)) : 32; }
inline int __clzll(long long a) { return a ? __builtin_clzll((unsigned long long)a) : 64; }
inline int __ffs(int a) { return __builtin_ffs(a); }
inline unsigned __brev(unsigned a) {
  unsigned out = 0;
  for (int i = 0; i < 32; i++) out |= (a >> i & 1) << (31 - i);
  return out;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
template <class A, class B> std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B> std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(a) < T(b) ? T(b) : T(a);
}
inline long long clock64() { return 0; }
inline void __nanosleep(unsigned) {}
inline void __trap() { emu::fail("__trap"); }
