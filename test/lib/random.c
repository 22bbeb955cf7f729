/*-------------------------------------------------------------------------
 *
 * random.c
 *	  Draws, all from one seed: splitmix64, a sequence for each thread.
 *
 *-------------------------------------------------------------------------
 */
#include "check.h"

void
random_seed(Random *random, uint64_t seed, uint64_t sequence)
{
	random->state = seed * UINT64_C(0x9e3779b97f4a7c15) + sequence;
	/* neighbouring sequences part in the first draw */
	random->state = random_next(random);
}

uint64_t
random_next(Random *random)
{
	uint64_t	z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int
random_int(Random *random, int low, int high)
{
	return low + (int) (random_next(random) % (uint64_t) (high - low + 1));
}

bool
random_one_in(Random *random, int n)
{
	return random_int(random, 1, n) == 1;
}
