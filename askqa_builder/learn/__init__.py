"""Learning from a release: several tasks from the same conversations, and the training on them.

The main task is to respond to a spoken question about a narrated passage. Listening
comprehension, cross-modal commonsense reasoning and response generation are made from the same
dialogues, under the names of DAMSEL (arXiv 2412.15995). Its prompts and weights are not public:
those here are our own.
"""
