/** umzug in a file of its own, so that it is loaded only when there is something to run. */
export { Umzug } from 'umzug'
