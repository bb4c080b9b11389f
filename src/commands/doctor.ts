import { defineCommand } from '../command.js'
import { doctor } from '../operate/doctor.js'

export default defineCommand({
  summary: 'look at target and files without writing, and say how to mend what is missing',
  run: ({ ctx, project, trackName, sources }) => doctor(ctx, project(), trackName, sources),
})
