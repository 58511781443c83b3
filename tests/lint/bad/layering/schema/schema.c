#include <curl/curl.h>
#include <yaml.h>

#include "bus/ring.h"
