/* version.h - which version of the program this is, as git describes it. */
#ifndef HEATCAST_BASE_VERSION_H
#define HEATCAST_BASE_VERSION_H

extern const char heatcast_version[];

#endif
