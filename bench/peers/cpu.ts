/** CPU time of processes and of all that descend from them, by the kernel's account. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Running } from './peer.js';

/** Clock ticks of Linux's accounting, which the kernel has always told user space in hundredths. */
const TICK_NS = 1e7;

interface Stat {
  parent: number;
  cpu_ns: number;
}

function stats(): Map<number, Stat> {
  const all = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // After the command, which may hold anything, parentheses included: state, parent, …, utime, stime.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      all.set(Number(name), {
        parent: Number(fields[1]),
        cpu_ns: (Number(fields[11]) + Number(fields[12])) * TICK_NS,
      });
    } catch {
      // It ended meanwhile.
    }
  }
  return all;
}

/** Nanoseconds so far, by role. */
export function cpu_ns(processes: Running['processes']): Map<string, number> {
  const all = stats();
  const roots = new Map(processes.map(({ role, child }) => [child.pid, role]));
  const roleOf = (pid: number): string | undefined => {
    for (let at = pid; at > 1; at = all.get(at)?.parent ?? 0) {
      const role = roots.get(at);
      if (role !== undefined) return role;
    }
    return undefined;
  };
  const sums = new Map<string, number>();
  for (const [pid, stat] of all) {
    const role = roleOf(pid);
    if (role !== undefined) sums.set(role, (sums.get(role) ?? 0) + stat.cpu_ns);
  }
  return sums;
}
