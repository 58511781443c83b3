#include "bus/layout.h"
#include <slipring/type.h>
