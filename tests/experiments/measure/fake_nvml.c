/* A stand-in for libnvidia-ml.so.1 whose device slows down: its clock is 1980 MHz at the first
   reading and 100 MHz lower at each further one. After the second reading it names the power cap as
   the reason. */

#include <stddef.h>
#include <string.h>

static unsigned readings = 0;

int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  strncpy(version, "580.1.2", length);
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  *device = &readings;
  return strcmp(bus_id, "0000:00:00.0") == 0 ? 0 : 6;
}
int nvmlDeviceGetClockInfo(void* device, int type, unsigned* mhz) {
  (void)device;
  *mhz = type == 1 ? 1980 - 100 * readings++ : 3201;
  return type == 1 || type == 2 ? 0 : 2;
}
int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* celsius) {
  (void)device;
  *celsius = 40 + readings;
  return sensor;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* reasons) {
  (void)device;
  *reasons = readings > 1 ? 0x4 : 0;
  return 0;
}
