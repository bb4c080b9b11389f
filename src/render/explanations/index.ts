import type { Code, HazardCode } from '../../model/codes.js'
import type { Explanation } from '../../model/explanation.js'
import { checkExplanations } from './checks.js'
import { fileExplanations } from './files.js'
import { fleetExplanations } from './fleet.js'
import { hazardExplanations } from './hazards.js'
import { historyExplanations } from './history.js'
import { layoutExplanations } from './layouts.js'
import { rollbackExplanations } from './rollback.js'
import { runExplanations } from './runs.js'
import { sessionExplanations } from './sessions.js'
import { statusExplanations } from './status.js'
import { targetExplanations } from './target.js'
import { toolExplanations } from './tools.js'
import { usageExplanations } from './usage.js'

/** The explanation of every finding and hazard. If one is missing the code does not compile. */
export const explanations: Record<Code | HazardCode, Explanation> = {
  ...fileExplanations,
  ...historyExplanations,
  ...targetExplanations,
  ...runExplanations,
  ...checkExplanations,
  ...layoutExplanations,
  ...rollbackExplanations,
  ...toolExplanations,
  ...usageExplanations,
  ...fleetExplanations,
  ...sessionExplanations,
  ...statusExplanations,
  ...hazardExplanations,
}
