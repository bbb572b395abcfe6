/* Of the CUDA driver what the engine calls, without a GPU: what it is told is checked as the driver
   would, and launches go to a function of the test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define API __attribute__((visibility("default")))
enum { OK = 0, INVALID_VALUE = 1, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NOT_FOUND = 500 };

typedef struct {
  char module[65], name[128];
  unsigned room;
} Function;
typedef int (*Runs)(const char* module, const char* name, unsigned grid, unsigned block,
                    unsigned shared, void* stream, void** places);
typedef int (*Has)(const char* module, const char* name);

static Runs runs;
static Has has;
static char images[256][65];
static int image_count;
static Function functions[256];
static int function_count;
static _Thread_local void* stack[16];
static _Thread_local int depth;
static char primary;

API void fake_connect(Runs r, Has h) { runs = r; has = h; }
API void* fake_context(void) { return &primary; }
API int fake_depth(void) { return depth; }

static int with_context(void) { return depth && stack[depth - 1] == &primary ? OK : INVALID_CONTEXT; }

static int fake_cuInit(unsigned flags) { return flags ? INVALID_VALUE : OK; }
static int fake_cuDriverGetVersion(int* out) { *out = 13000; return OK; }
static int fake_cuCtxGetCurrent(void** out) { *out = depth ? stack[depth - 1] : 0; return OK; }
static int fake_cuCtxPushCurrent(void* c) {
  if (c != &primary) return INVALID_CONTEXT;
  if (depth == 16) return INVALID_VALUE;
  stack[depth++] = c;
  return OK;
}
static int fake_cuCtxPopCurrent(void** out) {
  if (!depth) return INVALID_CONTEXT;
  --depth;
  if (out) *out = stack[depth];
  return OK;
}
static int fake_cuModuleLoadData(void** module, const void* image) {
  if (with_context()) return INVALID_CONTEXT;
  if (memcmp(image, "\x7f" "ELF", 4)) return INVALID_IMAGE;
  memcpy(images[image_count], (const char*)image + 4, 64);
  *module = images[image_count++];
  return OK;
}
static int fake_cuModuleGetFunction(void** out, void* module, const char* name) {
  if (with_context()) return INVALID_CONTEXT;
  if (!has(module, name)) return NOT_FOUND;
  Function* f = &functions[function_count++];
  strncpy(f->module, module, 64);
  strncpy(f->name, name, 127);
  f->room = 48 << 10;
  *out = f;
  return OK;
}
static int fake_cuFuncSetAttribute(Function* f, int attribute, int value) {
  if (with_context()) return INVALID_CONTEXT;
  if (attribute == 15) return value < 0 || value > 2 ? INVALID_VALUE : OK;  // how clusters lie
  if (attribute != 8 || value < 0 || value > 227 << 10) return INVALID_VALUE;
  f->room = value;
  return OK;
}
static int fake_cuFuncGetAttribute(int* out, int attribute, Function* f) {
  *out = attribute == 8 ? (int)f->room : attribute == 4 ? 168 : 0;
  return OK;
}
static int fake_cuLaunchKernel(Function* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                               unsigned by, unsigned bz, unsigned shared, void* stream,
                               void** places, void** extra) {
  if (with_context()) return INVALID_CONTEXT;
  if (!gx || gy != 1 || gz != 1 || !bx || bx > 1024 || by != 1 || bz != 1) return INVALID_VALUE;
  if (extra || shared > f->room) return INVALID_VALUE;
  return runs(f->module, f->name, gx, bx, shared, stream, places);
}
static int fake_cuGetErrorString(int error, const char** out) {
  *out = error == NOT_FOUND ? "named symbol not found"
       : error == INVALID_CONTEXT ? "invalid device context" : "some error";
  return OK;
}
static int fake_cuGetErrorName(int error, const char** out) { *out = "CUDA_ERROR"; return OK; }

static const struct { const char* name; void* there; } known[] = {
#define KNOW(f) {#f, fake_##f},
  KNOW(cuInit) KNOW(cuDriverGetVersion) KNOW(cuCtxGetCurrent) KNOW(cuCtxPushCurrent)
  KNOW(cuCtxPopCurrent) KNOW(cuModuleLoadData) KNOW(cuModuleGetFunction) KNOW(cuFuncSetAttribute)
  KNOW(cuFuncGetAttribute) KNOW(cuLaunchKernel) KNOW(cuGetErrorString) KNOW(cuGetErrorName)
};

static void* find(const char* name) {
  for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].name, name)) return known[i].there;
  return 0;
}
API int cuGetProcAddress_v2(const char* name, void** out, int version, uint64_t flags, int* said) {
  *out = find(name);
  if (said) *said = *out ? 0 : 1;
  return *out ? OK : NOT_FOUND;
}
API int cuGetProcAddress(const char* name, void** out, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, out, version, flags, 0);
}
