/** Who wants to know of a run as it goes, or to decide in it. */
import type { Choice } from '../egress/policy.js';
import type { Run } from './run.js';

export interface RunHooks {
  /** Instead of the policy's draw: a hop of the window, by whatever the world knows. */
  pick?: (now_us: number, destination: number, run: Run) => number;
  /** Every virtual second. */
  tick?: (now_us: number, run: Run) => void;
  /** A connection that is counted has ended; not those to destinations that nobody asked before. */
  ended?: (born_us: number, retries: number, attempts: number) => void;
  /** A try has been given a hop. */
  opened?: (choice: Choice, exit: number, now_us: number) => void;
}
