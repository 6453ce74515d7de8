#include "base/version.h"

const char heatcast_version[] = HEATCAST_VERSION;
