import type { Command, Invocation } from '../command.js'
import { type FleetValues, fleetOptions, rolloutOf, selected } from '../fleet/fleet_options.js'
import { runFleet } from '../fleet/run_fleet.js'
import { machine } from '../library/machine.js'
import type { Event } from '../model/event.js'
import { Failures, UsageError } from '../model/failure.js'
import { attributeOf, flagOf, readOptions, type Typed } from '../model/options.js'
import type { Finding, Report } from '../model/report.js'
import { type CommonInput, usableUrl } from './input.js'
import { shownStack, withoutSecrets } from './output.js'
import { readTargetList } from './target_list.js'

/** Flags for one database only. */
const flagsOfOne = ['--database-url', '--embedded', '--out', '--plan', '--fix-up', '--rehearse-url']

/**
 * The part of a command line for many databases; null if it is for one. Throws USAGE for flags that conflict.
 */
export function readFleet(
  command: Command,
  typed: Record<string, Typed>,
): (FleetValues & { targets: string }) | null {
  if (!command.fleet) return null
  const options = readOptions(fleetOptions, typed)
  const { targets } = options
  if (targets !== null) {
    const wrong = flagsOfOne.filter(flag => ![undefined, false].includes(typed[attributeOf(flag)] as never))
    if (wrong.length > 0)
      throw new Failures(
        wrong.map(
          flag => new UsageError(flag, 'it is about one database, and `--targets` about many').finding,
        ),
      )
    return { ...options, targets }
  }
  const lonely = Object.values(fleetOptions).filter(o => typed[attributeOf(o.flags)] !== undefined)
  if (lonely.length === 0) return null
  throw new Failures(lonely.map(({ flags }) => new UsageError(flagOf(flags), 'it needs `--targets`').finding))
}

/** A command line, and how it runs on one database. */
interface FleetLine {
  name: string
  command: Command
  typed: Record<string, Typed>
  process: NodeJS.Process
  run(invocation: Invocation): Promise<Report>
  /** The findings about the files. */
  around(invocation: Invocation): Finding[]
}

/** Runs the command on each database of the list. Nobody is asked: what needs consent is refused. */
export async function runOnTargets(
  { name, command, typed, process, run, around }: FleetLine,
  common: CommonInput,
  options: FleetValues & { targets: string },
  emit: (event: Event) => void,
): Promise<Report> {
  const { signal } = common
  // faults of the files are the same everywhere: report them once, without connecting
  if (common.project().faults.some(f => f.level === 'error'))
    await common.open({ url: '', source: '', emit, signal }).track()
  const list = await readTargetList(options.targets, process, signal)
  const targets = selected(list.targets, options.select)
  const rollout = rolloutOf(targets, options, command.fleet!(typed))
  const report = await runFleet(
    {
      command: name,
      list: list.name,
      clock: machine().clock,
      signal,
      emit,
      deadline: options.deadline,
      open: (target, signal) => {
        const of = (event: Event) => emit({ ...event, target: target.name })
        const url = usableUrl(target.url, process.env, of)
        const invocation = common.open({ url, source: '--targets', emit: of, signal })
        return {
          ctx: invocation.ctx,
          close: invocation.close,
          run: async () => {
            const report = invocation.stamped(await run(invocation), invocation.startedAt)
            return { ...report, findings: [...around(invocation), ...report.findings] }
          },
        }
      },
      masked: (report, { url }) => withoutSecrets(report, url, []),
      onError: (error, { name, url }) => {
        if (typed.verbose !== true || !(error instanceof Error)) return
        process.stderr.write(`[${name}] ${shownStack(error, url)}\n`)
      },
    },
    targets,
    rollout,
  )
  return { ...report, findings: [...report.findings, ...list.findings] }
}
