/**
 * Programs of Debian's packages, without installing them: an installed server would be started, for everyone to reach.
 * What is installed already is used; else the package and what it misses are unpacked into .cache/peers.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { which } from '../../scripts/setup/exec.mjs';
import { install, peersFolder } from './install.js';

const unpacked = peersFolder('debian', 'root');
const FOLDERS = ['usr/sbin', 'usr/bin', 'sbin', 'bin'];

/** Where the program is, or null. */
export function find(name: string): string | null {
  // Servers lie where ordinary users do not look.
  const path = [process.env.PATH ?? '', ...FOLDERS.map((folder) => `/${folder}`)].join(delimiter);
  return which(name, path) ?? which(name, FOLDERS.map((folder) => join(unpacked, folder)).join(delimiter));
}

/** What unpacked programs need to find their libraries. */
export function libraries(): NodeJS.ProcessEnv {
  const folders = ['usr/lib', 'lib'].flatMap((lib) => {
    const folder = join(unpacked, lib);
    return existsSync(folder) ? [folder, ...readdirSync(folder).map((name) => join(folder, name))] : [];
  });
  return folders.length === 0 ? {} : { LD_LIBRARY_PATH: folders.join(delimiter) };
}

/** The program's path, its package brought where it is not there. */
export async function debian(program: string, name: string): Promise<string> {
  const there = find(program);
  if (there !== null) return there;
  if (which('apt-get') === null || which('dpkg') === null) {
    throw new Error(`${program} is not on PATH, and there is no apt-get to bring it: install ${name}`);
  }
  const archives = peersFolder('debian', 'archives');
  // apt leaves what it has fetched before, which may be another package.
  rmSync(archives, { recursive: true, force: true });
  mkdirSync(join(archives, 'partial'), { recursive: true });
  const options = `-y -qq --no-install-recommends --download-only -o Dir::Cache::archives=${archives} -o APT::Sandbox::User=root`;
  const fetching = `apt-get ${options} install ${name}`;
  // Old lists name packages that are no longer served.
  const commands = `${fetching} || { apt-get update -qq && ${fetching}; }; mkdir -p ${unpacked}
    for archive in ${archives}/*.deb; do echo "Unpacking $archive"; dpkg -x "$archive" ${unpacked} || exit 1; done`;
  await install(`${name} (a package of this system, unpacked beside it)`, { command: 'sh', args: ['-c', commands] });
  const brought = find(program);
  if (brought === null) throw new Error(`the package ${name} has no ${program}`);
  return brought;
}
