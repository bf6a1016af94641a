"""Stylisation by a feed-forward network: a frame in, a stylised frame out.

One network paints every style; a style is the gains and offsets of its normalisations (Dumoulin,
Shlens, Kudlur 2017). `conditioning` reads them off a painting's Gram matrices, `fit` improves
them and the weights for one painting, on the optimiser's own objective.
"""
