#include "subscribers/subscriber.h"
#include "tests/harness/harness.h"
