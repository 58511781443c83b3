#include "bus/manager/watch.h"
#include "bus/ring.h"
#include "publishers/host/cpu.h"
