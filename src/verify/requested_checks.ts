import type { Check } from '../model/project.js'

/** A check of the tool itself, which runs where it is asked for, by a flag or by its name. */
interface RequestedCheck {
  title: string
  level: Check['level']
  /** The command that runs it. */
  command: string
  /** What to do about what it finds. */
  action: string
}

/** The checks that no file of a track has. */
export const requestedChecks = {
  real_persons: {
    title: 'Real users see the rows that they should, no more and no less',
    level: 'error',
    command: 'rethread verify --sample 5',
    action:
      'Compare the policies of the table with the track’s access file: its rule says who should see a row.',
  },
  same_as_backfilled: {
    title: 'Every unit has the content that its backfill has left',
    level: 'warn',
    command: 'rethread verify --deep',
    action:
      'Where the application may edit or delete messages, this is its work. Else look for who has written to these rows.',
  },
} as const satisfies Record<string, RequestedCheck>

type RequestedName = keyof typeof requestedChecks

/** True for the name of a check that no file of a track has. */
export const isRequestedName = (name: string): name is RequestedName => Object.hasOwn(requestedChecks, name)
