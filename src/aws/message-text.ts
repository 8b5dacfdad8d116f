// What the messages of queues can hold: the characters of XML 1.0, whatever the protocol.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html

const FORBIDDEN = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

export const hasForbiddenCharacters = (text: string): boolean => text.search(FORBIDDEN) !== -1;

/** With a replacement character for each that can't be in a message: colours of a terminal in an error, half a surrogate pair. */
export const messageText = (text: string): string => text.replaceAll(FORBIDDEN, "\u{fffd}");
