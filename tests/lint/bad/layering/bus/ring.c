#include <stdint.h>
#include <yaml.h>

#include <slipring/type.h>

#include "bus/ring.h"
#include "schema/schema.h"
