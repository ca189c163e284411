/* An OpenCL layer that tells what is launched, and keeps the machine code of it.
 *
 *   cc -O2 -Wall -Werror -fPIC -shared -o layer.so layer.c      no OpenCL headers needed
 *   OPENCL_LAYERS=/path/layer.so OCCVINO_GPU_LOG=log.jsonl OCCVINO_GPU_CODE=folder ...
 *
 * It writes a line of JSON for each program that does not build, with the compiler's words, and for each launch: the
 * kernel, work items, work groups, bytes of registers spilt a thread, and the file in the folder that holds its program.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *Handle;
typedef int32_t Status;

/* Places in the table of functions that the loader hands over, and names of what is asked: the Khronos headers. */
enum { GET_PROGRAM_INFO = 32, GET_BUILD_INFO = 33, BUILD_PROGRAM = 30, GET_KERNEL_INFO = 39, GET_GROUP_INFO = 40,
       ENQUEUE_KERNEL = 59, TABLE_AT_LEAST = 60 };
enum { PROGRAM_DEVICES = 0x1163, BINARY_SIZES = 0x1165, BINARIES = 0x1166, BUILD_LOG = 0x1183,
       KERNEL_NAME = 0x1190, KERNEL_PROGRAM = 0x1194, SPILL_BYTES = 0x4109, LAYER_API_VERSION = 0x4240 };
enum { INVALID_VALUE = -30, LOG_CHARACTERS = 3000, KNOWN_PROGRAMS = 4096 };

typedef Status (*ProgramInfo)(Handle, uint32_t, size_t, void *, size_t *);
typedef Status (*BuildInfo)(Handle, Handle, uint32_t, size_t, void *, size_t *);
typedef Status (*Build)(Handle, uint32_t, const Handle *, const char *, void *, void *);
typedef Status (*Enqueue)(Handle, Handle, uint32_t, const size_t *, const size_t *, const size_t *, uint32_t, const Handle *, Handle *);

static void *const *driver;
static FILE *out;
static const char *code;

static void quoted(const char *text, size_t most) {
    fputc('"', out);
    for (; *text && most--; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') fprintf(out, "\\%c", c);
        else if (c == '\n') fputs("\\n", out);
        else fputc(c >= 32 && c < 127 ? c : ' ', out);
    }
    fputc('"', out);
}

/* The number under which a program's machine code is kept; -1 if it is not. A program lives as long as its kernels. */
static int kept(Handle program) {
    static Handle known[KNOWN_PROGRAMS];
    static int count;
    for (int i = 0; i < count; i++)
        if (known[i] == program) return i;
    if (!code || count == KNOWN_PROGRAMS) return -1;
    size_t size = 0;
    ProgramInfo info = (ProgramInfo)driver[GET_PROGRAM_INFO];
    if (info(program, BINARY_SIZES, sizeof size, &size, NULL) || !size) return -1;
    unsigned char *bytes = malloc(size);
    char path[4096];
    int number = -1;
    snprintf(path, sizeof path, "%s/%d.bin", code, count);
    FILE *file = info(program, BINARIES, sizeof bytes, &bytes, NULL) ? NULL : fopen(path, "wb");
    if (file && fwrite(bytes, 1, size, file) == size) {
        known[count] = program;
        number = count++;
    }
    if (file) fclose(file);
    free(bytes);
    return number;
}

static Status build(Handle program, uint32_t count, const Handle *devices, const char *options, void *done, void *data) {
    Status status = ((Build)driver[BUILD_PROGRAM])(program, count, devices, options, done, data);
    if (!status || !out) return status;
    Handle device = NULL;
    static char log[LOG_CHARACTERS * 4];
    log[0] = 0;
    ((ProgramInfo)driver[GET_PROGRAM_INFO])(program, PROGRAM_DEVICES, sizeof device, &device, NULL);
    ((BuildInfo)driver[GET_BUILD_INFO])(program, device, BUILD_LOG, sizeof log - 1, log, NULL);
    fprintf(out, "{\"event\": \"refused\", \"status\": %d, \"log\": ", status);
    quoted(log, LOG_CHARACTERS);
    fputs("}\n", out);
    fflush(out);
    return status;
}

static Status enqueue(Handle queue, Handle kernel, uint32_t axes, const size_t *offset, const size_t *global, const size_t *local,
                      uint32_t waits, const Handle *events, Handle *event) {
    if (out) {
        char name[512] = "";
        Handle program = NULL, device = NULL;
        uint64_t spill = 0;
        size_t items = 1, groups = 1;
        for (uint32_t axis = 0; axis < axes; axis++) {
            items *= global[axis];
            groups *= local && local[axis] ? global[axis] / local[axis] : 1;
        }
        ProgramInfo kernel_info = (ProgramInfo)driver[GET_KERNEL_INFO];
        kernel_info(kernel, KERNEL_NAME, sizeof name, name, NULL);
        kernel_info(kernel, KERNEL_PROGRAM, sizeof program, &program, NULL);
        ((ProgramInfo)driver[GET_PROGRAM_INFO])(program, PROGRAM_DEVICES, sizeof device, &device, NULL);
        ((BuildInfo)driver[GET_GROUP_INFO])(kernel, device, SPILL_BYTES, sizeof spill, &spill, NULL);
        fputs("{\"event\": \"launch\", \"kernel\": ", out);
        quoted(name, sizeof name);
        fprintf(out, ", \"items\": %zu, \"groups\": %zu, \"spill\": %llu, \"program\": %d}\n", items, groups,
                (unsigned long long)spill, kept(program));
        fflush(out);
    }
    return ((Enqueue)driver[ENQUEUE_KERNEL])(queue, kernel, axes, offset, global, local, waits, events, event);
}

Status clGetLayerInfo(uint32_t asked, size_t size, void *value, size_t *given) {
    const uint32_t version = 100;
    if (asked != LAYER_API_VERSION) return INVALID_VALUE;
    if (given) *given = sizeof version;
    if (value && size >= sizeof version) memcpy(value, &version, sizeof version);
    return 0;
}

Status clInitLayer(uint32_t count, void *const *target, uint32_t *given, void *const **layer) {
    if (!target || !given || !layer || count < TABLE_AT_LEAST) return INVALID_VALUE;
    const char *path = getenv("OCCVINO_GPU_LOG");
    out = path && *path ? fopen(path, "w") : NULL;
    code = getenv("OCCVINO_GPU_CODE");
    driver = target;
    void **table = malloc(count * sizeof *table);
    memcpy(table, target, count * sizeof *table);
    table[BUILD_PROGRAM] = (void *)build;
    table[ENQUEUE_KERNEL] = (void *)enqueue;
    *given = count;
    *layer = table;
    return 0;
}

Status clInitLayerWithProperties(uint32_t count, void *const *target, uint32_t *given, void *const **layer, const void *properties) {
    (void)properties;
    return clInitLayer(count, target, given, layer);
}

Status clDeinitLayer(void) { return 0; }
