// Package feature turns a post and the places where it names services into numbered features, seen from one of the services.
//
// It must never decide anything: what a feature says is learnt. It keeps no text. Features are hashed (Weinberger et al., Feature
// Hashing for Large Scale Multitask Learning, ICML 2009), so neither vocabulary nor n-grams are stored.
//
// Not obvious:
//   - Names are replaced by placeholders: the service looked at becomes one symbol, every other one a second. What is learnt of one
//     service so holds for all, and "skype's down, back to facebook" reads differently from either side.
//   - lexicon.txt maps words of many languages to some fifty concepts. Sequences of concepts carry what English posts teach to
//     languages with few posts.
//   - The numbers of features are part of the model: changing anything here asks for training again, and the model's version says so.
package feature
