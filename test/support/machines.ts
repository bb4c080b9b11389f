import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './database.js'

/** Whether machines of their own networks can be made here: by root, on Linux, with iproute2. */
export const hasMachines = ['/usr/sbin/ip', '/sbin/ip'].some(existsSync) && canUnshare()

function canUnshare(): boolean {
  try {
    ip('netns', 'add', `rt-probe-${process.pid}`)
    ip('netns', 'del', `rt-probe-${process.pid}`)
    return true
  } catch {
    return false
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' })
}

/** A machine with a network of its own, which a cable joins to this one. */
export class Machine implements Disposable {
  private constructor(
    readonly name: string,
    /** The address of this machine at the end of its cable. */
    readonly here: string,
  ) {}

  /** `number` is its own among all that are there at once, below 60. */
  static make(number: number): Machine {
    const name = `rt${process.pid % 100_000}-${number}`
    const net = `10.213.${number}`
    ip('netns', 'add', name)
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'up0', 'netns', name)
    ip('addr', 'add', `${net}.1/30`, 'dev', name)
    ip('link', 'set', name, 'up')
    ip('-n', name, 'addr', 'add', `${net}.2/30`, 'dev', 'up0')
    ip('-n', name, 'link', 'set', 'up0', 'up')
    return new Machine(name, `${net}.1`)
  }

  /** Starts the command line there. */
  start(args: string[], url: string, cwd = root): ChildProcess {
    const main = join(root, 'dist/cli/main.js')
    return spawn('ip', ['netns', 'exec', this.name, process.execPath, main, ...args, '--format', 'json'], {
      cwd,
      env: { PATH: process.env.PATH, DATABASE_URL: url, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** Cuts its cable: nobody hears from it any more, and it hears from nobody. */
  cut(): void {
    ip('link', 'set', this.name, 'down')
  }

  [Symbol.dispose](): void {
    ip('netns', 'del', this.name)
  }
}
