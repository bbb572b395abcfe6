"""What every text begins with: types, turns, sines, shuffled sums, lots."""

from __future__ import annotations

from qrlang.engine.cuda.kernel import functions
from qrlang.engine.series import COS32, COS64, SIN32, SIN64

TYPES = """
typedef unsigned int U;
typedef long long L;
"""

SMALL = """
typedef float F;
typedef unsigned int W;  // of a whole turn 2^32 parts
#define FN(name) name##f
struct __align__(8) C { F x, y; };
struct __align__(16) V { F x, y, z, w; };
// Sums of products: two of them, which is as fast as four and has less to add up.
__device__ __forceinline__ V begun(F x) { return {x, 0.f, 0.f, 0.f}; }
__device__ __forceinline__ void along(V& s, V a, V b) {
  s.x = fmaf(a.x, b.x, s.x);
  s.y = fmaf(a.y, b.y, s.y);
  s.x = fmaf(a.z, b.z, s.x);
  s.y = fmaf(a.w, b.w, s.y);
}
__device__ __forceinline__ F total(V s) { return s.x + s.y; }
__device__ __forceinline__ V apart(const F* p, U by) { return {p[0], p[by], p[2 * by], p[3 * by]}; }
__device__ __forceinline__ W turns(F a) {  // of a / 4 pi
  const F p = a * 341782624.f;
  const F e = fmaf(a, 13.7882158f, fmaf(a, 341782624.f, -p));
  const F f = fmaf(rintf(p * 2.3283064365386963e-10f), -4294967296.f, p);
  return (W)__float2int_rn(f) + (W)__float2int_rn(e);
}
NEAR_SINCOS
#ifdef QRLANG_EMULATOR
__device__ __forceinline__ F unit(F norm) { return rsqrtf(norm); }
#else
__device__ __forceinline__ F unit(F norm) {  // for ordinary numbers
  asm("rsqrt.approx.ftz.f32 %0, %0;" : "+f"(norm));
  return norm;
}
#endif
STEEP
__device__ __forceinline__ F quotient(F a, F b) {
  const F r = inverse(b), q = a * r;
  return fmaf(fmaf(-q, b, a), r, q);
}
__device__ __forceinline__ F flipped(F x, W u) {  // its sign, where the highest bit is set
  return __uint_as_float(__float_as_uint(x) ^ (u & 0x80000000u));
}
#define QUARTER 30
#define PART 3.657295198167899e-10f  // of a whole turn, in four times as many
typedef int Z;
"""

LARGE = """
typedef double F;
typedef unsigned long long W;  // of a whole turn 2^64 parts
#define FN(name) name
struct __align__(16) C { F x, y; };
struct __align__(16) V { F x, y; };
__device__ __forceinline__ V begun(F x) { return {x, 0.0}; }
__device__ __forceinline__ void along(V& s, V a, V b) {
  s.x = fma(a.x, b.x, s.x);
  s.y = fma(a.y, b.y, s.y);
}
__device__ __forceinline__ F total(V s) { return s.x + s.y; }
__device__ __forceinline__ V apart(const F* p, U by) { return {p[0], p[by]}; }
__device__ __forceinline__ W turns(F a) {
  const F p = a * 0.07957747154594767;
  F e = fma(a, 0.07957747154594767, -p);
  e = fma(a, -4.9196691687956218e-18, e);
  const F f = p - rint(p);
  return ((W)(long long)rint(f * 4611686018427387904.0) << 2)
      + (W)(long long)rint(e * 18446744073709551616.0);
}
NEAR_SINCOS
STEEP
__device__ __forceinline__ F quotient(F a, F b) { return a / b; }
__device__ __forceinline__ F unit(F norm) { return 1.0 / sqrt(norm); }
__device__ __forceinline__ F flipped(F x, W u) {
  return __longlong_as_double(__double_as_longlong(x) ^ (L)(u & 0x8000000000000000u));
}
#define QUARTER 62
#define PART 8.515303950216386e-20
typedef long long Z;
"""

COMMON = """
// The address is made in any case: only the load has a condition.
template <class T> __device__ __forceinline__ F fetched(bool inside, const T* p, F other) {
  if (inside) other = (F)*p;
  return other;
}
// Rows of a sequence at a moment; neither is more than 32 bits, but all together are.
template <class T>
__device__ __forceinline__ T* at_moment(T* p, L b, L steps, L t, U width) {
  const unsigned long long moment = (unsigned long long)(U)b * (U)steps + (U)t;
  return (T*)((char*)p + moment * (width * (U)sizeof(T)));
}
// The angle of u as k quarter turns and |r| <= pi/4.
__device__ __forceinline__ U quarters(W u, F& r) {
  r = (F)(Z)(u << 2) * F(PART);
  return (U)((u + ((W)1 << (QUARTER - 1))) >> QUARTER);
}
HALVED
__device__ __forceinline__ C phase(W u, F scale) {  // scale exp(-i 2 pi u)
  F r, s, c;
  const W one = (W)1 << QUARTER, up = u + one / 2;
  quarters(u, r);
  near_sincos(r, s, c);
  C out;
  out.x = flipped(scale, up + one) * (up & one ? s : c);
  out.y = flipped(scale, ~up) * (up & one ? c : s);
  return out;
}
__device__ __forceinline__ C mul(C a, C b) {
  C out;
  out.x = a.x * b.x - a.y * b.y;
  out.y = a.x * b.y + a.y * b.x;
  return out;
}
__device__ __forceinline__ C mulc(C a, C b) {  // a times the conjugate of b
  C out;
  out.x = a.x * b.x + a.y * b.y;
  out.y = a.y * b.x - a.x * b.y;
  return out;
}
__device__ __forceinline__ F signed_by(U odd, F x) { return odd & 1u ? -x : x; }
__device__ __forceinline__ W turned(U odd, W t) { return odd & 1u ? (W)0 - t : t; }
__device__ __forceinline__ U parity(U x) { return __popc(x) & 1u; }
template <class T> __device__ __forceinline__ T over(T x, int by) {
  return __shfl_xor_sync(0xffffffffu, x, by);
}
__device__ __forceinline__ bool good(F x) { return FN(fabs)(x) <= F(3.0e38); }
__device__ __forceinline__ U mixed(U x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}
// Dropout: a lot of 24 bits for a row of a sequence at a moment.
__device__ __forceinline__ U lot(L seed, U number, L time, L sequence, U row) {
  U start = mixed((U)seed ^ ((U)time * 0x27d4eb2fu)) + (number + 1u) * 0x165667b1u;
  start = mixed(start ^ (U)((unsigned long long)seed >> 32));
  return mixed(mixed((U)sequence ^ start) + row * 0x9e3779b1u) >> 8;
}
__device__ __forceinline__ void report(L* error, L kind, L number, L time, L sequence) {
  if (*error == 0)
    *error = kind << 60 | (number & 0xffff) << 44 | ((time + 1) & 0x3fffff) << 22
        | (sequence & 0x3fffff);
}
#ifdef QRLANG_EMULATOR
typedef char* Far;
template <class T> __device__ __forceinline__ T anew(T x) { return x; }
__device__ __forceinline__ Far far_of(void* p, U rank) {
  return (char*)__cluster_map_shared_rank(p, rank);
}
template <int past> __device__ __forceinline__ C far_load(Far p) { return *(const C*)(p + past); }
template <int past> __device__ __forceinline__ void far_store(Far p, C x) { *(C*)(p + past) = x; }
#else
typedef U Far;  // an address in the cluster's shared memory
// Computed where it is used: what depends on a thread's number alone is worth no register.
__device__ __forceinline__ U anew(U x) {
  asm volatile("" : "+r"(x));
  return x;
}
__device__ __forceinline__ L anew(L x) {
  asm volatile("" : "+l"(x));
  return x;
}
__device__ __forceinline__ Far far_of(void* p, U rank) {
  U out;
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(out) : "r"((U)__cvta_generic_to_shared(p)), "r"(rank));
  return out;
}
#define FAR_WORD(type, letter) \
  template <int past> __device__ __forceinline__ C far_load(Far p) { \
    C x; \
    asm volatile("ld.shared::cluster.v2." type " {%0, %1}, [%2 + %3];" \
        : "=" letter(x.x), "=" letter(x.y) : "r"(p), "n"(past) : "memory"); \
    return x; \
  } \
  template <int past> __device__ __forceinline__ void far_store(Far p, C x) { \
    asm volatile("st.shared::cluster.v2." type " [%0 + %3], {%1, %2};" \
        :: "r"(p), letter(x.x), letter(x.y), "n"(past) : "memory"); \
  }
FAR_CODE
#endif
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
__device__ __forceinline__ void meet_cluster() {
  __cluster_barrier_arrive();
  __cluster_barrier_wait();
}
#endif
"""


# Half of an angle as quarter turns, of which the lowest bit counts, and |r| <= pi/4.
HALVED = """__device__ __forceinline__ U halved(F a, F& r) { return quarters(turns(a), r); }"""
HALVED32 = """__device__ __forceinline__ U halved(F a, F& r) {
  const F n = fmaf(a, 0.318309886f, 12582912.f), k = n - 12582912.f;
  r = fmaf(k, 4.37113900e-8f, fmaf(k, -1.57079637f, a * 0.5f));
  if (__builtin_expect(!(fabsf(a) < 1e5f), 0)) return quarters(turns(a), r);
  return __float_as_uint(n);
}"""


def _polynomial(coefficients: tuple[float, ...]) -> str:
    total = f"F({coefficients[0]!r})"
    for c in coefficients[1:]:
        total = f"FN(fma)({total}, z, F({c!r}))"
    return total


def _near_sincos(sine: tuple[float, ...], cosine: tuple[float, ...]) -> str:
    return f"""__device__ __forceinline__ void near_sincos(F r, F& s, F& c) {{  // |r| <= pi/4
  const F z = r * r;
  s = FN(fma)({_polynomial(sine)} * z, r, r);
  c = FN(fma)(z, F(-0.5), F(1)) + {_polynomial(cosine)} * (z * z);
}}"""


def prelude(dtype: str) -> str:
    small = dtype == "float32"
    near = _near_sincos(SIN32, COS32) if small else _near_sincos(SIN64, COS64)
    code = COMMON.replace("FAR_CODE", 'FAR_WORD("f32", "f")' if small else 'FAR_WORD("f64", "d")')
    code = code.replace("HALVED", HALVED32 if small else HALVED)
    steep = functions.SMALL if small else functions.LARGE
    text = (SMALL if small else LARGE).replace("NEAR_SINCOS", near).replace("STEEP", steep)
    return TYPES + text + code
