"""Features of the tissue image around every spot; arrays in, arrays out.

``tiles`` cuts windows from an image in memory, ``texture`` describes them without any weights, ``encode`` runs
them through a network, ``leading`` keeps the components that vary most.
"""
