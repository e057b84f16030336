/** Properties are tried on the same cases every time, so that a run that fails is the commit's doing; fuzzing looks for new ones. */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.FAST_CHECK_SEED ?? 1) });
