import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** A disk of a few megabytes, which a test can fill. */
export interface SmallDisk extends Disposable {
  /** A folder on it, of the user that the server runs as. */
  folder: string
  /** Takes all but so many kilobytes of what is free. */
  fill(leaveKb: number): void
  /** Gives back what `fill` has taken. */
  empty(): void
}

/** Runs a command of the system as root: as it is, or by sudo where that asks nobody. */
const asRoot = (...command: string[]): boolean =>
  [command, ['sudo', '-n', ...command]].some(([name, ...args]) => spawnSync(name!, args).status === 0)

/** Mounts one for the user that a server runs as; null where this machine lets nobody mount. */
export function smallDisk(megabytes: number, owner: number): SmallDisk | null {
  const at = mkdtempSync('/tmp/rethread-disk-')
  chmodSync(at, 0o755)
  if (!asRoot('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=777`, 'tmpfs', at)) {
    rmdirSync(at)
    return null
  }
  const ballast = join(at, 'ballast')
  const folder = join(at, 'data')
  mkdirSync(folder)
  // where this is not root, the server runs as whoever this is
  if (process.getuid?.() === 0) chownSync(folder, owner, owner)
  return {
    folder,
    fill: leaveKb => {
      const { bavail, bsize } = statfsSync(at)
      try {
        writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveKb * 1024)))
      } catch (error) {
        // the server has written meanwhile: what fits is there, and the disk is full
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    },
    empty: () => {
      if (existsSync(ballast)) rmSync(ballast)
    },
    [Symbol.dispose]: () => {
      // lazily: a server may have a file open yet
      asRoot('umount', '--lazy', at)
      rmdirSync(at)
    },
  }
}
