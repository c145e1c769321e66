/* What torch asks of a CUDA driver and runtime while FakeTensorMode stands for the kernels.
 *
 * FakeTensorMode keeps the device, dtype and shape of every tensor, but autograd and the choice of
 * an attention kernel ask for the current device, its stream and its properties. These answers
 * describe one H100 that is always current and always idle. Nothing is allocated, copied or
 * launched: functions that would do so are missing here, so the real library reports an error.
 *
 * The library is preloaded, so its functions precede those of libcudart, and it has the name by
 * which torch opens the driver.
 */
#include <string.h>

#define ANSWERS(name, ...) \
    int name(__VA_ARGS__) { return 0; }

/* The runtime. */
ANSWERS(cudaGetLastError, void)
ANSWERS(cudaPeekAtLastError, void)
ANSWERS(cudaSetDevice, int device)

int cudaGetDeviceCount(int *count) { return *count = 1, 0; }
int cudaGetDevice(int *device) { return *device = 0; }
int cudaDriverGetVersion(int *version) { return *version = 13020, 0; }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { return *least = *greatest = 0; }
int cudaStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
    return *stream = (void *)1, 0;
}
int cudaStreamIsCapturing(void *stream, int *status) { return *status = 0; }
int cudaStreamGetPriority(void *stream, int *priority) { return *priority = 0; }

/* Compute capability 9.0: the attribute cudaDevAttrComputeCapabilityMajor, and the field major,
 * which is at the same offset in CUDA 12 and 13. */
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    return *value = attribute == 75 ? 9 : 0, 0;
}
int cudaGetDeviceProperties(void *properties, int device) {
    memset(properties, 0, 1000);
    return *(int *)((char *)properties + 360) = 9, 0;
}
int cudaGetDeviceProperties_v2(void *properties, int device) {
    return cudaGetDeviceProperties(properties, device);
}

/* The driver. */
ANSWERS(cuInit, unsigned flags)
ANSWERS(cuCtxSetCurrent, void *context)

int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    return *flags = 0, *active = 1, 0;
}
int cuCtxGetCurrent(void **context) { return *context = (void *)1, 0; }
